"""Resizes frames as OpenCV's INTER_LINEAR does on uint8.

OpenCV computes positions in float32 and weights with 11 fractional bits, and takes the mean of four
pixels where an image is exactly twice as high and as wide. OpenCV's builds for some processors may
round in other ways; `plan_input` finds out.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeseg.pixels import Bgr
from edgeseg.runtime.gpu.steps import Indices, Step

__all__ = ["list_opencv_ways"]

_BITS: Final = 11


def list_opencv_ways(size: tuple[int, int], fitted: tuple[int, int]) -> list[tuple[Step, ...]]:
    """List the one way from an image of `size` to one of `fitted`, (height, width) in pixels."""
    if size == (2 * fitted[0], 2 * fitted[1]):
        return [(Step("halve_pixels", {}, fitted, fitted, _halve),)]
    return [(_blend(size, fitted),)]


def _blend(size: tuple[int, int], fitted: tuple[int, int]) -> Step:
    rows, row_weights = _find_taps(fitted[0], size[0], weighs_ends=True)
    columns, column_weights = _find_taps(fitted[1], size[1], weighs_ends=False)

    def compute(images: Bgr) -> Bgr:
        left, right = (images[..., each, :].astype(np.int32) for each in columns)
        lines = left * column_weights[0][:, None] + right * column_weights[1][:, None]
        parts = (
            (weights[:, None, None] * (lines[..., each, :, :] >> 4)) >> 16
            for each, weights in zip(rows, row_weights, strict=True)
        )
        blended: Bgr = ((sum(parts) + 2) >> 2).astype(np.uint8)
        return blended

    tables = {
        "rows": rows,
        "row_weights": row_weights,
        "columns": columns,
        "column_weights": column_weights,
    }
    return Step("blend_pixels", tables, (size[1], *fitted), fitted, compute)


def _find_taps(outputs: int, inputs: int, *, weighs_ends: bool) -> tuple[Indices, Indices]:
    """Find two inputs of each output, (2, outputs), and their weights in units of 2**-11.

    Beyond the ends both inputs are the same. Their weights stay two with `weighs_ends`, which the
    rounding of rows shows.
    """
    scale = 1.0 / (outputs / inputs)
    position = ((np.arange(outputs) + 0.5) * scale - 0.5).astype(np.float32)
    floor = np.floor(position)
    share = position - floor
    low = floor.astype(np.int32)
    if not weighs_ends:
        share[(low < 0) | (low >= inputs - 1)] = 0
    shares = np.stack([np.float32(1) - share, share])
    taps = np.clip(np.stack([low, low + 1]), 0, inputs - 1)
    return taps.astype(np.int32), np.rint(shares * np.float32(1 << _BITS)).astype(np.int32)


def _halve(images: Bgr) -> Bgr:
    wide = images.astype(np.uint16)
    rows = wide[..., ::2, :, :] + wide[..., 1::2, :, :]
    halved: Bgr = ((rows[..., ::2, :] + rows[..., 1::2, :] + 2) >> 2).astype(np.uint8)
    return halved
