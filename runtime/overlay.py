"""Draws a mask's colors over its frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeseg.labels import Labels
from edgeseg.pixels import Bgr, ClassMap

__all__ = ["Overlay"]


class Overlay:
    """Blends frames with the colors of their classes, half and half."""

    def __init__(self, labels: Labels) -> None:
        colors = len(labels.palette)
        # Ids beyond the classes are black: a faulty engine's id must not end the run.
        palette_bgr = np.zeros((256 if colors <= 256 else 65536, 3), np.uint8)
        palette_bgr[:colors] = np.array(labels.palette, np.uint8)[:, ::-1]
        # Colors are halved once for each class; a frame then costs a shift and an addition a value.
        self._halves: npt.NDArray[np.uint8] = np.ascontiguousarray(palette_bgr >> 1)

    def draw(self, frame: Bgr, mask: ClassMap) -> Bgr:
        """Draw the mask over the frame, as a new image of the frame's size, uint8 BGR."""
        colors = self._halves.take(mask, axis=0)
        blended: Bgr = np.right_shift(frame, 1)
        return np.add(blended, colors, out=blended)
