"""Turns the ids in a data set's masks into a model's class ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from edgeseg.datasets.edges import find_edge_ids, looks_smoothed
from edgeseg.datasets.items import FilePair, Item, Sample
from edgeseg.datasets.painted import BLACK, WHITE
from edgeseg.datasets.truth.mask_file import Truth
from edgeseg.errors import DatasetError, TruthError
from edgeseg.pixels import Bgr, ClassMap, find_ids, rename_ids
from edgeseg.text import join_words

__all__ = ["Matched", "Reading", "read_for_survey"]

_HIGHEST_BYTE: Final = 255
# So many unknown ids along edges are a sign of smoothing; a single one may be a forgotten class.
_SMOOTHED: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the ids in masks are read: `table[id]` is the model's class id of a valid id.

    An id that `table` lacks is of the class `others`, or refused if that is None. `origin`,
    `classes` (their number) and `ignored` (the ignored ids) describe the data set in messages.
    `painted` says that masks hold 0 and 255 for the two classes. `white_may_be` names the
    class that 255 may stand for, if dataset.json does not say that 255 is ignored.
    """

    origin: str
    classes: int
    ignored: tuple[int, ...]
    table: Mapping[int, int]
    others: int | None = None
    painted: bool = False
    white_may_be: str | None = None

    @property
    def changes(self) -> bool:
        """Whether any id is read as another one."""
        moved = any(own != other for own, other in self.table.items())
        return moved or self.others is not None

    def __str__(self) -> str:
        others = "" if self.others is None else f" {self.others}"
        return f"{sorted(self.table.items())}{others}"

    def apply(self, mask: ClassMap, item: Item) -> ClassMap:
        """Turn the mask, (H, W), of `item` into the model's class ids.

        Raises:
            TruthError: the masks were taken for painted ones, and this one shows that they are not.
            DatasetError: the mask holds an id that means nothing.
        """
        found = find_ids(mask)
        unknown = [own for own in found if own not in self.table]
        if self.painted and unknown == [1]:
            raise TruthError(self._explain_not_painted(item))
        if unknown and self.others is None:
            raise DatasetError(self._explain_refusal(mask, item.name, found, unknown))
        dtype = np.uint8 if max(self.table.values()) <= _HIGHEST_BYTE else np.uint16
        lookup: ClassMap = np.zeros(found[-1] + 1, dtype)
        for own in found:
            lookup[own] = self.table.get(own, self.others or 0)
        return rename_ids(mask, lookup)

    def sees_smoothing(self, mask: ClassMap) -> bool:
        """Tell whether a mask, (H, W), as its file holds it, looks smoothed."""
        return looks_smoothed(mask, is_binary=self.others is not None)

    def _explain_not_painted(self, item: Item) -> str:
        path = item.mask_path if isinstance(item, FilePair) else item.name
        return (
            f"{path} holds the id 1, but other masks of {self.origin} hold only {BLACK} and "
            f'{WHITE}: say with "ignore_index": {WHITE} in dataset.json that {WHITE} is not '
            f"counted, or write all masks with the ids 0 and 1"
        )

    def _explain_refusal(
        self, mask: ClassMap, name: str, found: list[int], unknown: list[int]
    ) -> str:
        if len(unknown) >= _SMOOTHED and find_edge_ids(mask).issuperset(unknown):
            return (
                f"the mask of {name} holds {len(found)} ids, of which {len(unknown)} are no class "
                f"and lie along edges only, as smoothing leaves them; save it without antialiasing"
            )
        ignored = join_words([*map(str, self.ignored)], "or")
        return (
            f"the mask of {name} holds the id {unknown[-1]}, but {self.origin} has "
            f"{self.classes} classes and the ignore index {ignored}; "
            f"correct the mask, name the id's class in dataset.json, or leave the id out with "
            f"--ignore-index"
        )


@dataclass(frozen=True, slots=True)
class Matched:
    """An item whose mask is read in the model's class ids."""

    item: Item
    reading: Reading

    @property
    def name(self) -> str:
        """The item's name."""
        return self.item.name

    @property
    def truth(self) -> Truth | None:
        """The ground truth as it lies, in the data set's own ids."""
        return self.item.truth

    @property
    def sha256(self) -> str:
        """The hash of the item and, if its ids are read as others, of how they are read."""
        if not self.reading.changes:
            return self.item.sha256
        return hashlib.sha256(f"{self.item.sha256} {self.reading}".encode()).hexdigest()

    def read(self) -> Sample:
        """Read the item; see `Item`."""
        return self._rename(self.item.read())

    def read_for_survey(self) -> Sample:
        """Read the item; see `read_for_survey`."""
        sample = self.item.read()
        renamed = self._rename(sample)
        # Other ids than those of the file would hide smoothing.
        return replace(renamed, smoothed=self.reading.sees_smoothing(sample.mask))

    def image(self) -> Bgr:
        """Read the image alone; see `Item`."""
        return self.item.image()

    def read_as(self, channels: int) -> Matched:
        """Return the item whose image is read as one of so many channels; see `Item`."""
        return replace(self, item=self.item.read_as(channels))

    def _rename(self, sample: Sample) -> Sample:
        return replace(sample, mask=self.reading.apply(sample.mask, self.item))


def read_for_survey(item: Item) -> Sample:
    """Read an item, and say in the sample whether its mask looks smoothed.

    Nobody but a `Survey` asks, and the answer takes about as long as it takes to read the ids.

    Raises:
        SourceError: see `Item.read`.
        DatasetError: see `Item.read`.
    """
    return item.read_for_survey() if isinstance(item, Matched) else item.read()
