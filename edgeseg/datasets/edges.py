"""Ids that occur along edges only: what smoothing (antialiasing, resizing) leaves in a mask."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeseg.pixels import ClassMap

__all__ = ["ids_on_edges", "looks_smoothed"]

_FEWEST: Final = 16  # ids; an image of thin things has some that lie along edges only
_SHARE: Final = 0.75  # of them


def ids_on_edges(mask: ClassMap) -> set[int]:
    """The ids of which no pixel has four neighbors of its own id."""
    inside = np.ones(mask.shape, bool)
    for axis in (0, 1):
        ahead, behind = (_part(axis, slice(1, None)), _part(axis, slice(-1)))
        same = mask[ahead] == mask[behind]
        inside[ahead] &= same
        inside[behind] &= same
    return set(np.unique(mask).tolist()) - set(np.unique(mask[inside]).tolist())


def looks_smoothed(mask: ClassMap) -> bool:
    """Whether it holds many ids, most of them along edges only."""
    ids = int(np.count_nonzero(np.bincount(mask.ravel())))
    return ids >= _FEWEST and len(ids_on_edges(mask)) >= _SHARE * ids


def _part(axis: int, along: slice) -> tuple[slice, slice]:
    return (along, slice(None)) if axis == 0 else (slice(None), along)
