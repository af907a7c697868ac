"""Counts and renames the ids in masks a block of rows at a time: NumPy makes 8 bytes of each id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from edgeseg.pixels.arrays import ClassMap

__all__ = ["count_ids", "find_ids", "rename_ids", "split_rows"]

# Pixels at a time, 2 MB as NumPy's indexes: large enough to hide NumPy's call overhead.
_BLOCK: Final = 1 << 18

T = TypeVar("T", bound=np.generic)


def split_rows(height: int, width: int) -> Iterator[slice]:
    """Split the rows of an image, given in pixels, into blocks; one row at least is in each."""
    step = max(1, _BLOCK // max(1, width))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def count_ids(mask: ClassMap) -> npt.NDArray[np.int64]:
    """Count the pixels of each id in a mask, (H, W): int64 (highest id + 1,)."""
    counts = np.zeros(int(mask.max(initial=0)) + 1, np.int64)
    for rows in split_rows(*mask.shape):
        counts += np.bincount(mask[rows].ravel(), minlength=len(counts))
    return counts


def find_ids(mask: ClassMap) -> list[int]:
    """Find the ids in a mask, (H, W), in ascending order."""
    found: list[int] = np.flatnonzero(count_ids(mask)).tolist()
    return found


def rename_ids(mask: ClassMap, table: npt.NDArray[T]) -> npt.NDArray[T]:
    """Put `table[id]` in the place of each id in a mask, (H, W).

    The table is (ids,) or, of colors, (ids, 3). The result is (H, W) or (H, W, 3), of its type.
    """
    renamed = np.empty((*mask.shape, *table.shape[1:]), table.dtype)
    for rows in split_rows(*mask.shape):
        renamed[rows] = table[mask[rows]]
    return renamed
