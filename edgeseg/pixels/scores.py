"""Computes how sure a network is of each pixel: the softmax's highest probability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.pixels.arrays import ClassMap, Logits, Planes
from edgeseg.pixels.axis import follow_frame
from edgeseg.pixels.input import measure_coverage
from edgeseg.pixels.resizing import blend
from edgeseg.spec import InputSpec

__all__ = ["Place", "Probabilities", "Take", "find_highest", "rate_bands"]

Probabilities = npt.NDArray[np.float32]
"""The probability, 0 to 1, of the class that wins a pixel: float32 (rows, columns)."""

Place = tuple[slice, slice]
"""The rows and the columns of a part of a frame."""

Take = Callable[[Place, ClassMap, Probabilities], None]
"""Takes a part of a frame: where it lies, its class ids, and their probabilities."""

# Values worked on at a time, 1 MB in float32, as for masks.
_CHUNK_VALUES: Final = 1 << 18

# Replaces minus infinity, which a share of zero would make NaN; lower than any trained logit.
_SWITCHED_OFF: Final = np.float32(-1e30)


def find_highest(planes: Planes) -> Probabilities:
    """Find the highest probability of softmax over the classes of each pixel."""
    distance = planes - planes.max(axis=0)
    highest: Probabilities = 1 / np.exp(distance, out=distance).sum(axis=0)
    return highest


def rate_bands(logits: Logits, spec: InputSpec, mask: ClassMap, take: Take) -> None:
    """Rate a frame's mask band by band: `take` gets every pixel's highest probability once.

    `mask` is what `to_frame_mask` made of the logits, (H, W) at the frame's size. The probabilities
    are those of torch's `interpolate` to that size and `softmax`, by the bundle's own way of
    upsampling. A band holds about a megabyte, or one row.
    """
    planes = np.maximum(logits[0], _SWITCHED_OFF)
    height, width = mask.shape
    share = measure_coverage(height, width, spec)
    down = follow_frame(height, planes.shape[1], share[0], spec.upsampling)
    across = follow_frame(width, planes.shape[2], share[1], spec.upsampling)
    step = max(1, _CHUNK_VALUES // (len(planes) * width))
    for top in range(0, height, step):
        rows = range(top, min(top + step, height))
        taps = down.take(rows)
        near = planes[:, taps.span.start : taps.span.stop]
        band = blend(blend(near, taps.begin_at(taps.span.start), axis=1), across, axis=2)
        place = (slice(rows.start, rows.stop), slice(0, width))
        take(place, mask[place], find_highest(band))
