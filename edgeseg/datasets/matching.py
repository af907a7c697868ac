"""Matches the classes of a data set with those of a model, by name and in any order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from edgeseg.datasets.items import Dataset
from edgeseg.datasets.painted import BLACK, WHITE, are_painted
from edgeseg.datasets.reading import Matched, Reading
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels, choose_ignore_index

__all__ = ["Differences", "match_classes"]

_PAINTED_CLASSES: Final = 2
_REDUCED: Final = "the checkpoint was trained on reduced labels (do_reduce_labels)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Classes that only the data set or only the model has, by name.

    Pixels of the classes that only the data set has are not counted.
    """

    data_only: tuple[str, ...] = ()
    model_only: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.data_only or self.model_only)

    @property
    def lines(self) -> Iterator[str]:
        """Name the classes that do not match, a line for each side."""
        if self.data_only:
            yield (
                f"classes of the data set that the model does not have, not counted: "
                f"{', '.join(self.data_only)}"
            )
        if self.model_only:
            yield (
                f"classes of the model that the data set does not have: "
                f"{', '.join(self.model_only)}"
            )


def match_classes(
    dataset: Dataset, labels: Labels, *, reduce_labels: bool = False
) -> tuple[Dataset, Differences]:
    """Return the data set with the model's class ids, and the classes that do not match.

    Names are compared without case and surrounding blanks. If the data set or the model has no
    names, classes are matched by position. `reduce_labels` says that training took 0 for no class
    and 1 for the first class; masks of a data set without names are then read in the same way. If
    there are two classes and the masks hold only 0 and 255, 255 is read as the second class, unless
    dataset.json says that 255 is ignored. The result's `notes` say what was guessed.

    Raises:
        DatasetError: data set and model have no class in common, or different numbers of classes
            without names.
    """
    theirs = dataset.labels
    if theirs is None and reduce_labels:
        return _reduce_labels(dataset, labels), Differences()
    if reduce_labels and "classes" in dataset.said:
        note = f"{_REDUCED}; the masks' ids are read as dataset.json names them, and not reduced"
        dataset = replace(dataset, notes=(*dataset.notes, note))
    if theirs is None:
        return _match_by_name(dataset, labels, labels), Differences()
    if labels.classes == tuple(f"class {index}" for index in range(len(labels.classes))):
        return _match_by_position(dataset, theirs, labels), Differences()
    found = Differences(
        data_only=_select_missing(theirs, _normalize_names(labels)),
        model_only=_select_missing(labels, _normalize_names(theirs)),
    )
    if len(found.data_only) == len(theirs.classes):
        raise DatasetError(
            f"data set {dataset.origin} and the model have no class in common: "
            f"{', '.join(theirs.classes[:3])} ... and {', '.join(labels.classes[:3])} ...; "
            f"is it another data set's model?"
        )
    return _match_by_name(dataset, theirs, labels), found


def _match_by_position(dataset: Dataset, theirs: Labels, ours: Labels) -> Dataset:
    if len(theirs.classes) != len(ours.classes):
        raise DatasetError(
            f"data set {dataset.origin} has {len(theirs.classes)} classes and the model, which "
            f"has no names, has {len(ours.classes)}; was it trained on this data set?"
        )
    return _match_by_name(dataset, theirs, replace(ours, classes=theirs.classes))


def _select_missing(labels: Labels, others: list[str]) -> tuple[str, ...]:
    pairs = zip(labels.classes, _normalize_names(labels), strict=True)
    return tuple(name for name, plain in pairs if plain not in others)


def _match_by_name(dataset: Dataset, theirs: Labels, ours: Labels) -> Dataset:
    places = {name: index for index, name in enumerate(_normalize_names(ours))}
    table = {
        own: places.get(name, ours.ignore_index)
        for own, name in enumerate(_normalize_names(theirs))
    }
    reading = Reading(
        origin=dataset.origin,
        classes=len(theirs.classes),
        ignored=theirs.ignore_index,
        table=table | {theirs.ignore_index: ours.ignore_index},
    )
    white = theirs.classes[1] if _may_be_painted(dataset, theirs) else None
    if white is not None and are_painted(dataset.items):
        reading = replace(
            reading,
            table={theirs.ignore_index: ours.ignore_index, BLACK: table[0], WHITE: table[1]},
            painted=True,
        )
        note = (
            f"the masks hold only the ids {BLACK} and {WHITE}, and there are two classes: {WHITE} "
            f'is read as {white!r}, not as ignored; "ignore_index": {WHITE} in dataset.json '
            f"says otherwise"
        )
        dataset = replace(dataset, notes=(*dataset.notes, note))
    elif theirs.ignore_index == WHITE:
        reading = replace(reading, white_may_be=white)
    return _apply_reading(reading, dataset, ours)


def _may_be_painted(dataset: Dataset, theirs: Labels) -> bool:
    """Tell whether there are two classes, and dataset.json does not say that 255 is ignored."""
    ignored = "ignore_index" in dataset.said and theirs.ignore_index == WHITE
    return len(theirs.classes) == _PAINTED_CLASSES and not ignored


def _reduce_labels(dataset: Dataset, ours: Labels) -> Dataset:
    """Read masks as transformers' `reduce_label` does: ignore 0 and 255, lower other ids by 1."""
    classes = len(ours.classes)
    ignored = choose_ignore_index(classes)
    reading = Reading(
        origin=dataset.origin,
        classes=classes,
        ignored=ignored,
        table={own + 1: own for own in range(classes)}
        | {0: ours.ignore_index, ignored: ours.ignore_index},
    )
    note = (
        f"{_REDUCED}: of the masks' ids 0 is ignored and 1 is {ours.classes[0]!r}; a dataset.json "
        f"with the names of the ids 0, 1, ... says otherwise"
    )
    return _apply_reading(reading, replace(dataset, notes=(*dataset.notes, note)), ours)


def _apply_reading(reading: Reading, dataset: Dataset, ours: Labels) -> Dataset:
    items = tuple(Matched(item, reading) for item in dataset.items)
    return replace(dataset, items=items, labels=ours)


def _normalize_names(labels: Labels) -> list[str]:
    return [name.strip().casefold() for name in labels.classes]
