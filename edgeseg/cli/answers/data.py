"""Lines that tell what a data set holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgeseg.datasheet.sheet import DataSheet, SplitSheet
from edgeseg.reports.data_facts import ClassShare, describe_facts
from edgeseg.text import pluralize

__all__ = ["describe_sheet"]

_MOST_FAILING: Final = 5


def describe_sheet(sheet: DataSheet) -> Iterator[str]:
    """Describe each split, and what two splits share."""
    for one in sheet.splits:
        yield from _describe_split(one)
    yield from sheet.notes
    if sheet.shared:
        first = sheet.shared[0]
        yield (
            f"images that are in two splits: {len(sheet.shared)}, the first: {first.name} of "
            f"{first.split} is {first.other_name} of {first.other_split}"
        )


def _describe_split(one: SplitSheet) -> Iterator[str]:
    title = one.split or "all images"
    yield f"{title}: {pluralize(one.facts.images, 'image')} with masks, layout {one.facts.layout}"
    yield from (f"  {line}" for line in describe_facts(one.facts))
    yield from (f"  {note}" for note in one.notes)
    width = max((len(row.name) for row in one.facts.classes), default=0)
    yield from (f"  {_write_class(row, width)}" for row in one.facts.classes)
    if one.converted:
        first = one.converted[0]
        told = f"{len(one.converted)}, the first: {first.name} ({first.reason})"
        yield f"  images that are read after a conversion: {told}"
    if one.failing:
        yield f"  pairs that cannot be used: {len(one.failing)}"
        yield from (f"    {note.reason}" for note in one.failing[:_MOST_FAILING])
        if len(one.failing) > _MOST_FAILING:
            yield f"    and {len(one.failing) - _MOST_FAILING} more"


def _write_class(row: ClassShare, width: int) -> str:
    images = pluralize(row.images, "image") if row.images else "never"
    return f"{row.name:{width}}  {row.share:6.2f} %  {images}"
