"""The arrays that images, logits and masks are."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Bgr", "ClassMap", "Frame", "Logits", "Output", "Planes"]

Bgr = npt.NDArray[np.uint8]  # (H, W, 3), 0..255, blue first, as OpenCV and cameras deliver it
Frame = npt.NDArray[np.uint8]  # (1, H, W, 3), the network's input
Logits = npt.NDArray[np.float32]  # (1, classes, h, w)
Planes = npt.NDArray[np.float32]  # (classes, rows, columns), a batch of one's logits
ClassMap = npt.NDArray[
    np.unsignedinteger
]  # (H, W), class ids; uint8 up to 256 classes, else uint16
# What an engine gives: logits, or (1, H, W) class ids at the input's size.
Output: TypeAlias = "Logits | ClassMap"
