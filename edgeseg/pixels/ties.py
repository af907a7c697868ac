"""Compares two masks of one engine's output, where logits may tie."""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import numpy.typing as npt

from edgeseg.pixels.arrays import LOGITS_DIMENSIONS, ClassMap, Logits, Output
from edgeseg.pixels.axis import follow_frame
from edgeseg.pixels.input import measure_coverage
from edgeseg.spec import InputSpec

__all__ = ["count_untied"]

# Blends of float32 logits, added up in any order, differ by some units in the last place.
_ROUNDING: Final = 1e-6

_Pixels = npt.NDArray[np.intp]


def count_untied(output: Output, spec: InputSpec, mask: ClassMap, other: ClassMap) -> int:
    """Count the pixels at which two masks differ, and the logits of the two classes do not tie.

    Both masks are class ids (H, W) of a frame, made of one engine's output: logits (1, classes, h,
    w), or class ids (1, h, w), among which nothing ties.
    """
    if mask.shape != other.shape:
        return mask.size
    row, column = np.nonzero(mask != other)
    if output.ndim != LOGITS_DIMENSIONS or not row.size:
        return int(row.size)
    planes = cast("Logits", output)[0]
    known = (mask < len(planes))[row, column] & (other < len(planes))[row, column]
    row, column, unknown = row[known], column[known], np.count_nonzero(~known)
    first, scale = _blend(planes, spec, mask, mask[row, column].astype(np.intp), row, column)
    second, _ = _blend(planes, spec, mask, other[row, column].astype(np.intp), row, column)
    untied = np.abs(first - second) > _ROUNDING * scale
    return int(np.count_nonzero(untied)) + int(unknown)


def _blend(
    planes: npt.NDArray[np.float32],
    spec: InputSpec,
    mask: ClassMap,
    ids: _Pixels,
    row: _Pixels,
    column: _Pixels,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Blend the logits of a class at each of some pixels; also give the sum of their sizes."""
    (height, width), (_, h, w) = mask.shape, planes.shape
    share = measure_coverage(height, width, spec)
    down = follow_frame(height, h, share[0], spec.upsampling)
    across = follow_frame(width, w, share[1], spec.upsampling)
    total, size = np.zeros(len(ids)), np.zeros(len(ids))
    for y, y_share in zip(down.inputs, down.shares, strict=True):
        for x, x_share in zip(across.inputs, across.shares, strict=True):
            part = y_share[row].astype(float) * x_share[column]
            values = planes[ids, y[row], x[column]].astype(float)
            total += part * values
            size += part * np.abs(values)
    return total, size
