"""Looks at each image and mask of a data set, and keeps none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from edgeseg.datasets import (
    Dataset,
    Rules,
    Sample,
    Survey,
    open_dataset,
    tell_notes_if_refused,
)
from edgeseg.datasheet.classes import OwnClasses, find_own_classes
from edgeseg.datasheet.sheet import DataSheet, Shared, SheetPicture, SplitSheet
from edgeseg.demo import DEMO
from edgeseg.errors import DatasetError, SourceError, SplitNeededError
from edgeseg.progress import Progress, track
from edgeseg.redact import scrub
from edgeseg.reports.data_facts import collect_facts
from edgeseg.reports.draw.pictures import draw_image_and_mask
from edgeseg.reports.report import Noted, note_image
from edgeseg.text import pluralize, to_encodable

__all__ = ["look_at"]


def look_at(
    source: str, *, split: str | None, rules: Rules, pictures: int, progress: Progress
) -> tuple[DataSheet, tuple[SheetPicture, ...]]:
    """Look at a split, or at all splits, and draw some pictures of each.

    Raises:
        DatasetError: the data set cannot be opened, or none of its splits, or nothing can be read.
        SourceError: its dataset.json cannot be read.
    """
    datasets, notes = _open_splits(source, split, rules)
    seen = [_look_at_split(one, pictures, progress) for one in datasets]
    _check_any_read(datasets, seen)
    sheet = DataSheet(
        name=datasets[0].title,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        splits=tuple(one.sheet for one in seen),
        shared=tuple(_find_shared(seen)),
        notes=tuple(map(to_encodable, notes)),
    )
    return sheet, tuple(picture for one in seen for picture in one.pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    sheet: SplitSheet
    survey: Survey
    pictures: tuple[SheetPicture, ...]


def _open_splits(source: str, split: str | None, rules: Rules) -> tuple[list[Dataset], list[str]]:
    """Open the split that is asked for, or all; also tell of those that cannot be opened."""
    try:
        first = open_dataset(source, split=split, rules=rules)
    except SplitNeededError as error:
        names, opened = error.splits, []
    else:
        if split is not None or source == DEMO:
            return [first], []
        names, opened = tuple(one for one in first.splits if one != first.split), [first]
    found = [_open_or_explain(source, name, rules) for name in names]
    opened += [one for one in found if isinstance(one, Dataset)]
    notes = [one for one in found if isinstance(one, str)]
    if not opened:
        raise DatasetError(notes[0])
    return opened, notes


def _open_or_explain(source: str, name: str, rules: Rules) -> Dataset | str:
    try:
        return open_dataset(source, split=name, rules=rules)
    except DatasetError as error:
        return f"split {name} is left out: {scrub(str(error), source)}"


def _check_any_read(datasets: Sequence[Dataset], seen: Sequence[_Seen]) -> None:
    """Refuse a data set of which nothing can be read: its sheet would be empty.

    Raises:
        DatasetError: the first image's or mask's reason.
    """
    if any(one.sheet.facts.images for one in seen):
        return
    count = sum(len(one) for one in datasets)
    # Images or masks without the other come first, and are not what was read.
    reason = seen[0].sheet.failing[len(datasets[0].unpaired)].reason
    raise DatasetError(
        f"none of {pluralize(count, 'image')} can be read with its mask, the first for: {reason}"
    )


def _look_at_split(dataset: Dataset, pictures: int, progress: Progress) -> _Seen:
    with tell_notes_if_refused(dataset, progress):
        own = find_own_classes(dataset)
    drawn = _choose_places(len(dataset.items), pictures)
    survey, shown = Survey(), []
    failing = [note_image(gap.name, gap.reason) for gap in dataset.unpaired]
    converted = []
    phase = " ".join(filter(None, ("looking at", dataset.split or dataset.title)))
    for place, item in enumerate(track(progress, phase, dataset.items)):
        try:
            sample = item.read()
        except (SourceError, DatasetError) as error:
            failing.append(note_image(item.name, scrub(str(error), dataset.origin)))
            continue
        survey.add(own.check_smoothing(sample))
        if sample.conversions:
            converted.append(note_image(sample.name, ", ".join(sample.conversions)))
        if place in drawn:
            shown.append(_draw(sample, own, dataset.split))
        del sample  # a large image is not kept while the next one is read
    sheet = _make_sheet(dataset, own, survey, failing, converted)
    return _Seen(sheet=sheet, survey=survey, pictures=tuple(shown))


def _make_sheet(
    dataset: Dataset,
    own: OwnClasses,
    survey: Survey,
    failing: Sequence[Noted],
    converted: Sequence[Noted],
) -> SplitSheet:
    facts = collect_facts(survey, own.labels, layout=dataset.layout, lookup=own.find_place)
    named = dataset.labels if "palette" in dataset.said else None
    return SplitSheet(
        split=dataset.split,
        facts=own.drop_unseen(facts),
        failing=tuple(failing),
        converted=tuple(converted),
        notes=tuple(map(to_encodable, (*dataset.notes, *own.notes, *survey.notes(named)))),
    )


def _choose_places(count: int, pictures: int) -> set[int]:
    """Choose places at equal distances."""
    wanted = min(count, pictures)
    return {index * count // wanted for index in range(wanted)}


def _draw(sample: Sample, own: OwnClasses, split: str | None) -> SheetPicture:
    image, mask = draw_image_and_mask(sample.image, own.apply(sample.mask), own.labels)
    return SheetPicture(
        split=split, name=to_encodable(sample.name), image=image, mask=mask, labels=own.labels
    )


def _find_shared(seen: Sequence[_Seen]) -> Iterator[Shared]:
    """Find images that an earlier split has, too."""
    known: dict[bytes, tuple[str, str]] = {}
    for one in seen:
        split = one.sheet.split or "all"
        for digest, name in one.survey.prints.items():
            first = known.setdefault(digest, (split, name))
            if first[0] != split:
                yield Shared(
                    split=first[0],
                    name=to_encodable(first[1]),
                    other_split=split,
                    other_name=to_encodable(name),
                )
