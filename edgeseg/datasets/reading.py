"""How the ids in a data set's masks become a model's classes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from edgeseg.datasets.edges import ids_on_edges
from edgeseg.datasets.items import FilePair, Item, Sample
from edgeseg.datasets.painted import BLACK, WHITE
from edgeseg.errors import DatasetError, TruthError
from edgeseg.pixels import Bgr, ClassMap

__all__ = ["Matched", "Reading"]

_HIGHEST_BYTE: Final = 255
_SMOOTHED: Final = 2  # ids of no class along edges; one may be a class that was forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`table[id]` is the model's class id of a mask's id; an id without one means nothing.

    `origin`, `classes` and `ignored` are the data set's, for messages. Of `painted` masks the ids 0
    and 255 are the two classes. `white_may_be` is the class that the ignored 255 may be, where
    nobody said that it is ignored.
    """

    origin: str
    classes: int
    ignored: int
    table: Mapping[int, int]
    painted: bool = False
    white_may_be: str | None = None

    @property
    def changes(self) -> bool:
        """Whether any id is read as another one."""
        return any(own != other for own, other in self.table.items())

    def apply(self, mask: ClassMap, item: Item) -> ClassMap:
        """The model's class ids of a mask, (H, W); `item` is whose it is.

        Raises:
            TruthError: it shows that the masks are not painted, as they were taken for.
            DatasetError: it holds an id that means nothing.
        """
        found = np.flatnonzero(np.bincount(mask.ravel())).tolist()
        unknown = [own for own in found if own not in self.table]
        if self.painted and unknown == [1]:
            raise TruthError(self._not_painted(item))
        if unknown:
            raise DatasetError(self._refusal(mask, item.name, found, unknown))
        dtype = np.uint8 if max(self.table.values()) <= _HIGHEST_BYTE else np.uint16
        lookup: ClassMap = np.zeros(found[-1] + 1, dtype)
        for own in found:
            lookup[own] = self.table[own]
        return lookup[mask]

    def _not_painted(self, item: Item) -> str:
        path = item.mask_path if isinstance(item, FilePair) else item.name
        return (
            f"{path} holds the id 1, but other masks of {self.origin} hold only {BLACK} and "
            f'{WHITE}: say with "ignore_index": {WHITE} in dataset.json that {WHITE} is not '
            f"counted, or write all masks with the ids 0 and 1"
        )

    def _refusal(self, mask: ClassMap, name: str, found: list[int], unknown: list[int]) -> str:
        if len(unknown) >= _SMOOTHED and ids_on_edges(mask).issuperset(unknown):
            return (
                f"the mask of {name} holds {len(found)} ids, of which {len(unknown)} are no class "
                f"and lie along edges only, as smoothing leaves them; save it without antialiasing"
            )
        return (
            f"the mask of {name} holds the id {unknown[-1]}, but {self.origin} has "
            f"{self.classes} classes and the ignore index {self.ignored}; mend the mask, or say in "
            f"dataset.json what the id is"
        )


@dataclass(frozen=True, slots=True)
class Matched:
    """An item whose mask is read in the model's class ids."""

    item: Item
    reading: Reading

    @property
    def name(self) -> str:
        """The item's."""
        return self.item.name

    @property
    def sha256(self) -> str:
        """Of the item and, where they are others, of what its ids are read as."""
        if not self.reading.changes:
            return self.item.sha256
        table = sorted(self.reading.table.items())
        return hashlib.sha256(f"{self.item.sha256} {table}".encode()).hexdigest()

    def read(self) -> Sample:
        """Read the item; see `Item`."""
        sample = self.item.read()
        return replace(sample, mask=self.reading.apply(sample.mask, self.item))

    def image(self) -> Bgr:
        """Read the image alone; see `Item`."""
        return self.item.image()
