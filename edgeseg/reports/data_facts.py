"""What a data set holds: sizes, classes with their shares, ids that mean nothing, duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from edgeseg.datasets import Survey
from edgeseg.labels import Labels
from edgeseg.reports.measured import Value
from edgeseg.text import list_some, pluralize, to_encodable

__all__ = ["ClassShare", "DataFacts", "Stray", "Twins", "collect_facts", "describe_facts"]

_MOST: Final = 5  # sizes, ids or names in a line
# Takes an id in a mask; returns the class id, or None if the id means nothing.
Lookup = Callable[[int], "int | None"]


class SizeCount(Value, frozen=True, kw_only=True):
    """How many images have one size, in pixels."""

    height: int
    width: int
    images: int


class ClassShare(Value, frozen=True, kw_only=True):
    """A class: its share of the counted pixels in %, and the number of images that show it."""

    name: str
    share: float
    images: int


class Stray(Value, frozen=True, kw_only=True):
    """An id in masks that means nothing: its share of all pixels in %, and of how many masks."""

    id: int
    share: float
    images: int


class Twins(Value, frozen=True, kw_only=True):
    """Two images with the same pixels, by name."""

    first: str
    second: str


class DataFacts(Value, frozen=True, kw_only=True):
    """What the images and masks of a data set hold.

    `layout` is the form of its files, `images` the number of those that could be read, and `sizes`
    are from the most frequent to the rarest. `uncounted` is the share of all pixels, in %, that
    have no class. `strays` are the ids that mean nothing, the most frequent first. `twins` are
    images with the same pixels.
    """

    layout: str
    images: int
    sizes: tuple[SizeCount, ...]
    classes: tuple[ClassShare, ...]
    uncounted: float
    strays: tuple[Stray, ...] = ()
    twins: tuple[Twins, ...] = ()

    @property
    def absent(self) -> tuple[str, ...]:
        """The classes that no image shows."""
        return tuple(one.name for one in self.classes if not one.images)


def collect_facts(survey: Survey, labels: Labels, *, layout: str, lookup: Lookup) -> DataFacts:
    """Collect the facts of the samples that a survey has seen.

    `labels` are the classes, and `lookup` tells which of them an id in a mask is.
    """
    pixels, images = survey.tally.pixels, survey.shown
    places = {own: lookup(own) for own in pixels}
    counted: Counter[int] = Counter()
    shown: Counter[int] = Counter()
    for own, place in places.items():
        if place is not None and place < len(labels.classes):
            counted[place] += pixels[own]
            shown[place] += images[own]
    whole = max(1, pixels.total())
    strays = [
        Stray(id=own, share=100 * pixels[own] / whole, images=images[own])
        for own, place in places.items()
        if place is None
    ]
    return DataFacts(
        layout=layout,
        images=survey.sizes.total(),
        sizes=tuple(
            SizeCount(height=size[0], width=size[1], images=number)
            for size, number in survey.sizes.most_common()
        ),
        classes=tuple(
            ClassShare(
                name=to_encodable(name),
                share=100 * counted[place] / max(1, counted.total()),
                images=shown[place],
            )
            for place, name in enumerate(labels.classes)
        ),
        uncounted=100 * (whole - counted.total()) / whole,
        strays=tuple(sorted(strays, key=lambda stray: -stray.share)),
        twins=tuple(
            Twins(first=to_encodable(one), second=to_encodable(other))
            for one, other in survey.twins
        ),
    )


def describe_facts(facts: DataFacts) -> Iterator[str]:
    """Describe sizes, pixels and images in lines; classes are for a table."""
    sizes = [f"{one.images} of {one.height}x{one.width}" for one in facts.sizes]
    yield f"sizes (height x width): {list_some(sizes, _MOST)}"
    yield f"pixels that are not counted: {facts.uncounted:.2f} %"
    if facts.absent:
        yield f"classes that never occur: {len(facts.absent)}: {list_some(facts.absent, _MOST)}"
    if facts.strays:
        ids = [
            f"{one.id} ({one.share:.3f} % of the pixels, {pluralize(one.images, 'mask')})"
            for one in facts.strays
        ]
        yield f"ids that mean nothing: {len(ids)}: {list_some(ids, _MOST)}"
    if facts.twins:
        twins = [f"{one.first} = {one.second}" for one in facts.twins]
        pairs = pluralize(len(twins), "pair")
        yield f"images with the same pixels: {pairs}: {list_some(twins, _MOST)}"
