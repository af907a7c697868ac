"""The arrays that images, logits and masks are."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "LOGITS_DIMENSIONS",
    "Bgr",
    "ClassMap",
    "Frame",
    "Logits",
    "Output",
    "Planes",
    "Scores",
]

LOGITS_DIMENSIONS: Final = 4
"""An output of so many dimensions is logits; class ids have one less."""


Bgr = npt.NDArray[np.uint8]
"""An image: uint8 (H, W, 3), 0 to 255, blue first, as OpenCV and cameras deliver it.

A network of other than three channels takes (H, W, C) in its files' own order.
"""

Frame = npt.NDArray[np.uint8]
"""The network's input: uint8 (1, H, W, C), 0 to 255; of three channels blue is first."""

Logits = npt.NDArray[np.float32]
"""What the network gives: float32 (1, classes, h, w), at a quarter of the input's size."""

Planes = npt.NDArray[np.float32]
"""The logits of one image: float32 (classes, rows, columns)."""

ClassMap = npt.NDArray[np.unsignedinteger]
"""A mask: class ids (H, W); uint8 up to 256 classes, else uint16."""

Scores = npt.NDArray[np.uint8]
"""How sure a network is of each pixel: uint8 (H, W), 255 times the probability of its class."""

Output: TypeAlias = "Logits | ClassMap"
"""What an engine gives: logits, or class ids (1, H, W) at the input's size."""
