"""Finds the marks that antialiasing, and resizing other than to the nearest, leave in masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import ClassMap, count_ids, split_rows

__all__ = ["find_edge_ids", "looks_smoothed"]

# A mask looks smoothed if it has at least so many ids, and this share of them along edges only.
# Thin things, too, have a few ids that lie along edges only.
_FEWEST: Final = 16
_SHARE: Final = 0.75
# A mask of a foreground has few ids, so these tell; JPEG's best quality leaves 0, 1, 254 and 255.
_FEWEST_OF_TWO: Final = 4
_SHARE_OF_TWO: Final = 0.5

# Or if at so large a share of its edges a single pixel has an id between those on both sides, and
# of all single pixels between two other ids at least this share has one; chance gives a third. Of
# 77 of CamVid's masks, 20 drawn streets and 3 of ADE20K's, the sharp ones, also turned or made up
# to eight times smaller to the nearest, have 0.056 at most. Blurred, turned or resized linearly,
# they have at least 0.085 and 0.44.
_BETWEEN: Final = 0.07
_RISING: Final = 0.4
_ENOUGH: Final = 20  # pixels: in a small mask, a few prove nothing

_Ids: TypeAlias = "npt.NDArray[np.integer[Any]]"


def find_edge_ids(mask: _Ids) -> set[int]:
    """Find the ids in a mask, (H, W), of which no pixel has four neighbors with the same id.

    The ids may be colors, each as one number.
    """
    seen: set[int] = set()
    inner: set[int] = set()
    for part, rows in _cut_blocks(mask):
        seen.update(np.unique(part[rows]).tolist())
        inner.update(np.unique(part[rows][_find_inside(part)[rows]]).tolist())
    return seen - inner


def _find_inside(mask: _Ids) -> npt.NDArray[np.bool_]:
    """Find the pixels whose neighbors, two to four, have the same id."""
    inside = np.ones(mask.shape, bool)
    for axis in (0, 1):
        ahead, behind = (_slice_axis(axis, slice(1, None)), _slice_axis(axis, slice(-1)))
        same = mask[ahead] == mask[behind]
        inside[ahead] &= same
        inside[behind] &= same
    return inside


def looks_smoothed(mask: ClassMap, *, is_binary: bool = False) -> bool:
    """Tell whether a mask, (H, W), as its file holds it, has ids that smoothing leaves.

    `is_binary` says that some ids are the foreground, and all others the background.
    """
    if _has_ids_between(mask):
        return True
    fewest, share = (_FEWEST_OF_TWO, _SHARE_OF_TWO) if is_binary else (_FEWEST, _SHARE)
    ids = int(np.count_nonzero(count_ids(mask)))
    return ids >= fewest and len(find_edge_ids(mask)) >= share * ids


def _has_ids_between(mask: ClassMap) -> bool:
    """Tell whether many edges have a single pixel with an id between those on both sides."""
    edges = single = between = 0
    for part, rows in _cut_blocks(mask):
        for turned in (part, part[rows].T):
            before, here, after = turned[:-2], turned[1:-1], turned[2:]
            differs = before != after
            edges += int(np.count_nonzero(differs))
            differs &= (before != here) & (here != after)
            single += int(np.count_nonzero(differs))
            between += int(np.count_nonzero(differs & ((before < here) == (here < after))))
    return between >= max(_ENOUGH, _BETWEEN * edges, _RISING * single)


def _cut_blocks(mask: _Ids) -> Iterator[tuple[_Ids, slice]]:
    """Cut a mask into blocks of rows, each with the rows above and below; tell which are its own.

    To compare a whole large mask at once would take many bytes a pixel.
    """
    for rows in split_rows(*mask.shape):
        start = max(0, rows.start - 1)
        yield mask[start : rows.stop + 1], slice(rows.start - start, rows.stop - start)


def _slice_axis(axis: int, along: slice) -> tuple[slice, slice]:
    return (along, slice(None)) if axis == 0 else (slice(None), along)
