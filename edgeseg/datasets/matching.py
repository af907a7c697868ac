"""The classes of a data set, as those of a model: matched by name, whatever their order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from edgeseg.datasets.items import Dataset, Item, Sample
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels
from edgeseg.pixels import Bgr, ClassMap

__all__ = ["Differences", "Matched", "match_classes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Classes that one side alone has. Pixels of the data set's own are not counted."""

    data_only: tuple[str, ...] = ()
    model_only: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.data_only or self.model_only)

    @property
    def lines(self) -> Iterator[str]:
        """For people."""
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


@dataclass(frozen=True, slots=True)
class Matched:
    """An item whose mask is read in the model's class ids: `table[id]` of the data set's."""

    item: Item
    table: tuple[int, ...]
    origin: str
    ignored: tuple[int, int]  # the data set's own ignore index, and the model's

    @property
    def name(self) -> str:
        """The item's."""
        return self.item.name

    @property
    def sha256(self) -> str:
        """Of the item and, where they are others, of what its ids are read as."""
        theirs, ours = self.ignored
        if theirs == ours and self.table == tuple(range(len(self.table))):
            return self.item.sha256
        return hashlib.sha256(f"{self.item.sha256} {self.table}".encode()).hexdigest()

    def read(self) -> Sample:
        """Read the item; see `Item`."""
        sample = self.item.read()
        return replace(sample, mask=self._in_model_ids(sample.mask))

    def image(self) -> Bgr:
        """Read the image alone; see `Item`."""
        return self.item.image()

    def _in_model_ids(self, mask: ClassMap) -> ClassMap:
        theirs, ours = self.ignored
        counted = mask != theirs
        highest = int(mask[counted].max(initial=0))
        if highest >= len(self.table):
            raise DatasetError(
                f"the mask of {self.name} holds the id {highest}, but {self.origin} has "
                f"{len(self.table)} classes and the ignore index {theirs}"
            )
        dtype = np.uint8 if max(ours, *self.table) <= 255 else np.uint16
        lookup = np.array(self.table, dtype)
        found: ClassMap = np.full(mask.shape, ours, dtype)
        found[counted] = lookup[mask[counted]]
        return found


def match_classes(dataset: Dataset, labels: Labels) -> tuple[Dataset, Differences]:
    """The data set with the model's class ids, and which classes one side alone has.

    Names are compared without case and surrounding blanks. A data set without names, or a model
    without (numbers stand for them), is taken by position.

    Raises:
        DatasetError: they have no class in common, or numbers of another count.
    """
    theirs = dataset.labels
    if theirs is None:
        return _matched(dataset, labels, labels), Differences()
    if labels.classes == tuple(f"class {index}" for index in range(len(labels.classes))):
        return _by_position(dataset, theirs, labels), Differences()
    found = Differences(
        data_only=_without(theirs, _plain(labels)), model_only=_without(labels, _plain(theirs))
    )
    if len(found.data_only) == len(theirs.classes):
        raise DatasetError(
            f"data set {dataset.origin} and the model have no class in common: "
            f"{', '.join(theirs.classes[:3])} ... and {', '.join(labels.classes[:3])} ...; "
            f"is it another data set's model?"
        )
    return _matched(dataset, theirs, labels), found


def _by_position(dataset: Dataset, theirs: Labels, ours: Labels) -> Dataset:
    if len(theirs.classes) != len(ours.classes):
        raise DatasetError(
            f"data set {dataset.origin} has {len(theirs.classes)} classes and the model, which "
            f"names none, {len(ours.classes)}; are they for each other?"
        )
    return _matched(dataset, theirs, replace(ours, classes=theirs.classes))


def _without(labels: Labels, others: list[str]) -> tuple[str, ...]:
    pairs = zip(labels.classes, _plain(labels), strict=True)
    return tuple(name for name, plain in pairs if plain not in others)


def _matched(dataset: Dataset, theirs: Labels, ours: Labels) -> Dataset:
    places = {name: index for index, name in enumerate(_plain(ours))}
    table = tuple(places.get(name, ours.ignore_index) for name in _plain(theirs))
    ignored = (theirs.ignore_index, ours.ignore_index)
    items = tuple(Matched(item, table, dataset.origin, ignored) for item in dataset.items)
    return replace(dataset, items=items, labels=ours)


def _plain(labels: Labels) -> list[str]:
    return [name.strip().casefold() for name in labels.classes]
