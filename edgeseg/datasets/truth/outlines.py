"""Fills polygons as pycocotools does, whose masks COCO and CVAT take for the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.datasets.truth.runs import fill_runs, unpack_counts
from edgeseg.errors import MissingPackageError
from edgeseg.machine.extras import make_install_command

__all__ = ["check_points", "fill_outlines"]

_FEWEST: Final = 6  # numbers: three points
# How far outside an image, in its own sides, a point may lie.
_MARGIN: Final = 16


def fill_outlines(
    outlines: Sequence[Sequence[float]], height: int, width: int
) -> npt.NDArray[np.bool_]:
    """Fill polygons, each x, y, x, y, ... in pixels, as one mask (height, width).

    One of fewer than three points has no area, and fills nothing.

    Raises:
        ValueError: a polygon has a number too many, or points far outside the image.
        MissingPackageError: pycocotools is not installed.
    """
    try:
        from pycocotools import mask as coco
    except ImportError:
        raise MissingPackageError(
            "pycocotools", purpose="drawing polygons", command=make_install_command(["coco"])
        ) from None
    areas = [list(outline) for outline in outlines if len(outline) >= _FEWEST]
    for outline in areas:
        if len(outline) % 2:
            raise ValueError(f"has a polygon of {len(outline)} numbers, and a point has two")
        check_points(np.array(outline, np.float64).reshape(-1, 2), height, width)
    if not areas:
        return np.zeros((height, width), bool)
    merged = coco.merge(coco.frPyObjects(areas, height, width))
    # Its own decoding warns with NumPy 2.
    counts = unpack_counts(merged["counts"].decode("ascii"))
    return fill_runs(counts, height * width).reshape(width, height).T


def check_points(points: npt.NDArray[np.float64], height: int, width: int) -> None:
    """Check that points, (N, 2) x and y, can be drawn: libraries take memory along an outline.

    Raises:
        ValueError: a point lies far outside the image, or the outline is too long.
    """
    farthest = np.abs(points).max(initial=0)
    if not np.isfinite(points).all() or farthest > _MARGIN * max(height, width):
        raise ValueError(f"has a point far outside the image of {height}x{width}")
    steps = np.abs(points - np.roll(points, 1, axis=0)).max(axis=1)
    if steps.sum() > 4 * (height + 2) * (width + 2) + 2 * _MARGIN * max(height, width):
        raise ValueError(f"has an outline of {steps.sum():.0f} pixels in {height}x{width}")
