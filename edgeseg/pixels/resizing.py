"""Resizes logits bilinearly, all rows or some of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from edgeseg.pixels.arrays import Planes
from edgeseg.pixels.axis import Taps, align_corners, center_pixels
from edgeseg.spec import Upsampling

__all__ = ["blend", "resize_logits", "resize_rows"]

# Values worked on at a time, 1 MB in float32, as for masks.
_CHUNK_VALUES: Final = 1 << 18


def resize_logits(
    planes: Planes,
    *,
    height: int,
    width: int,
    rows: range | None = None,
    upsampling: Upsampling = Upsampling.HALF_PIXEL,
) -> Planes:
    """Resize logits bilinearly to `height` x `width`; return all rows or some of them.

    The logits are float32 (classes, h, w), the result is float32 (classes, rows, width).

    The result equals torch's `interpolate(mode="bilinear")` up to rounding, for logits that are
    finite. `upsampling` says whether with `align_corners`. If only the classes matter, `to_mask` is
    faster.
    """
    rows = range(height) if rows is None else rows
    resized = np.empty((len(planes), len(rows), width), np.float32)
    step = max(1, _CHUNK_VALUES // (len(planes) * width))
    for start in range(0, len(rows), step):
        resized[:, start : start + step] = resize_rows(
            lambda needed: planes[:, needed.start : needed.stop],
            of=planes.shape[1],
            height=height,
            width=width,
            rows=rows[start : start + step],
            upsampling=upsampling,
        )
    return resized


def resize_rows(
    read: Callable[[range], Planes],
    *,
    of: int,
    height: int,
    width: int,
    rows: range,
    upsampling: Upsampling = Upsampling.HALF_PIXEL,
) -> Planes:
    """Resize planes of `of` rows, not all of which need be in memory, to some rows.

    The result is that of `resize_logits`: from float32 (classes, rows, columns) to float32
    (classes, rows, width), of an image that is `height` x `width` pixels.

    `read` is called once, for the rows that are blended. It may resize, too: two steps then take no
    more memory than one. Where the size stays, its answer is the result.
    """
    find = center_pixels if upsampling is Upsampling.HALF_PIXEL else align_corners
    if height == of:
        planes = read(rows)
    else:
        taps = find(height, of).take(rows)
        planes = blend(read(taps.span), taps.begin_at(taps.span.start), axis=1)
    if width == planes.shape[2]:
        return planes
    return blend(planes, find(width, planes.shape[2]), axis=2)


def blend(planes: Planes, taps: Taps, *, axis: int) -> Planes:
    """Blend the rows of planes (`axis` 1) or their columns (2), as many as `taps` has outputs."""
    shape = (-1, 1) if axis == 1 else (-1,)
    total, *others = (planes.take(inputs, axis=axis) for inputs in taps.inputs)
    total *= taps.shares[0].reshape(shape)
    for other, shares in zip(others, taps.shares[1:], strict=True):
        other *= shares.reshape(shape)
        total += other
    blended: Planes = total
    return blended
