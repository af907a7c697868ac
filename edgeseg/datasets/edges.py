"""Finds class ids that occur only along edges, as antialiasing leaves them in a mask."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeseg.pixels import ClassMap

__all__ = ["find_edge_ids", "looks_smoothed"]

# A mask looks smoothed if it has at least so many ids, and this share of them along edges only.
# Thin things, too, have a few ids that lie along edges only.
_FEWEST: Final = 16
_SHARE: Final = 0.75


def find_edge_ids(mask: ClassMap) -> set[int]:
    """Find the ids in a mask, (H, W), of which no pixel has four neighbors with the same id."""
    inside = np.ones(mask.shape, bool)
    for axis in (0, 1):
        ahead, behind = (_slice_axis(axis, slice(1, None)), _slice_axis(axis, slice(-1)))
        same = mask[ahead] == mask[behind]
        inside[ahead] &= same
        inside[behind] &= same
    return set(np.unique(mask).tolist()) - set(np.unique(mask[inside]).tolist())


def looks_smoothed(mask: ClassMap) -> bool:
    """Tell whether a mask, (H, W), holds many ids, most of them along edges only."""
    ids = int(np.count_nonzero(np.bincount(mask.ravel())))
    return ids >= _FEWEST and len(find_edge_ids(mask)) >= _SHARE * ids


def _slice_axis(axis: int, along: slice) -> tuple[slice, slice]:
    return (along, slice(None)) if axis == 0 else (slice(None), along)
