"""Pixels as the corruptions see them: in 0..1, the range that their published constants are for."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import Bgr

__all__ = ["PURPOSE", "Unit", "to_bytes", "to_unit"]

Unit = npt.NDArray[np.float32]  # (H, W, 3) BGR, 0..1; corruptions may exceed it

PURPOSE: Final = "corrupting images"  # what OpenCV is for, where there is none


def to_unit(image: Bgr) -> Unit:
    """A copy in 0..1."""
    return image.astype(np.float32) / np.float32(255)


def to_bytes(unit: Unit) -> Bgr:
    """The nearest of 0..255; what exceeds 0..1 saturates, as in a camera."""
    rounded: Bgr = np.rint(np.clip(unit, 0, 1) * np.float32(255)).astype(np.uint8)
    return rounded
