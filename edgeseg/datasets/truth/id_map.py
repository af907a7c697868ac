"""Turns a published data set's ids into its classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.errors import DatasetError
from edgeseg.pixels import ClassMap, find_ids, rename_ids

__all__ = ["IdMap"]


@dataclass(frozen=True, slots=True)
class IdMap:
    """What the ids in a data set's masks mean: `table[id]` is the class id of a valid id."""

    name: str
    table: Mapping[int, int]

    def list_ids(self, classes: int) -> tuple[int, ...]:
        """List the id of each of the first `classes` classes: what `apply` turns into 0, 1, ..."""
        own_ids = {new: own for own, new in self.table.items()}
        return tuple(own_ids[index] for index in range(classes))

    def apply(self, mask: ClassMap, origin: Path) -> ClassMap:
        """Turn a mask, (H, W), of the data set's ids into class ids.

        Raises:
            DatasetError: the mask holds an id that the data set does not have.
        """
        found = find_ids(mask)
        unknown = [own for own in found if own not in self.table]
        if unknown:
            raise DatasetError(
                f"{origin} holds the ids {', '.join(map(str, unknown[:5]))}, which {self.name} "
                f"does not have; give the masks that belong to {self.name}"
            )
        lookup = np.zeros(found[-1] + 1, np.uint8)
        for own in found:
            lookup[own] = self.table[own]
        return rename_ids(mask, lookup)
