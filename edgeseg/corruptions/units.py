"""Turns pixels into values in 0..1, for which the published constants are, and back."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import Bgr

__all__ = ["PURPOSE", "Unit", "to_bytes", "to_unit"]

Unit = npt.NDArray[np.float32]  # (H, W, 3) BGR, 0..1; a corruption may go beyond

PURPOSE: Final = "corrupting images"  # for the message that OpenCV is missing


def to_unit(image: Bgr) -> Unit:
    """Convert uint8 values to float32 values in 0..1."""
    return image.astype(np.float32) / np.float32(255)


def to_bytes(unit: Unit) -> Bgr:
    """Round values in 0..1 to uint8 in 0..255; values beyond become 0 or 255, as in a camera."""
    rounded: Bgr = np.rint(np.clip(unit, 0, 1) * np.float32(255)).astype(np.uint8)
    return rounded
