"""Finds the marks that antialiasing, and resizing other than to the nearest, leave in masks."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import ClassMap

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


def find_edge_ids(mask: npt.NDArray[np.integer[Any]]) -> set[int]:
    """Find the ids in a mask, (H, W), of which no pixel has four neighbors with the same id.

    The ids may be colors, each as one number.
    """
    inside = np.ones(mask.shape, bool)
    for axis in (0, 1):
        ahead, behind = (_slice_axis(axis, slice(1, None)), _slice_axis(axis, slice(-1)))
        same = mask[ahead] == mask[behind]
        inside[ahead] &= same
        inside[behind] &= same
    return set(np.unique(mask).tolist()) - set(np.unique(mask[inside]).tolist())


def looks_smoothed(mask: ClassMap, *, is_binary: bool = False) -> bool:
    """Tell whether a mask, (H, W), as its file holds it, has ids that smoothing leaves.

    `is_binary` says that some ids are the foreground, and all others the background.
    """
    if _has_ids_between(mask):
        return True
    fewest, share = (_FEWEST_OF_TWO, _SHARE_OF_TWO) if is_binary else (_FEWEST, _SHARE)
    ids = int(np.count_nonzero(np.bincount(mask.ravel())))
    return ids >= fewest and len(find_edge_ids(mask)) >= share * ids


def _has_ids_between(mask: ClassMap) -> bool:
    """Tell whether many edges have a single pixel with an id between those on both sides."""
    edges = single = between = 0
    for turned in (mask, mask.T):
        before, here, after = turned[:-2], turned[1:-1], turned[2:]
        differs = before != after
        edges += int(np.count_nonzero(differs))
        differs &= (before != here) & (here != after)
        single += int(np.count_nonzero(differs))
        between += int(np.count_nonzero(differs & ((before < here) == (here < after))))
    return between >= max(_ENOUGH, _BETWEEN * edges, _RISING * single)


def _slice_axis(axis: int, along: slice) -> tuple[slice, slice]:
    return (along, slice(None)) if axis == 0 else (slice(None), along)
