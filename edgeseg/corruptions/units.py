"""Pixels as values in 0..1, the range that the published constants of corruptions are for."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import Bgr

__all__ = ["PURPOSE", "Unit", "to_bytes", "to_unit"]

Unit = npt.NDArray[np.float32]  # (H, W, 3) BGR, 0..1; corruptions may exceed it

PURPOSE: Final = "corrupting images"  # for the message that OpenCV is missing


def to_unit(image: Bgr) -> Unit:
    """Copy an image to float32 values in 0..1."""
    return image.astype(np.float32) / np.float32(255)


def to_bytes(unit: Unit) -> Bgr:
    """Round to 0..255, uint8; values outside 0..1 saturate, as in a camera."""
    rounded: Bgr = np.rint(np.clip(unit, 0, 1) * np.float32(255)).astype(np.uint8)
    return rounded
