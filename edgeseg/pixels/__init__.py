"""Frame to network input, and logits to mask: the one definition of both.

Calibration, accuracy checks and the device all go through these functions, so they cannot
disagree about resizing. Normalization is part of the graph.
"""

from __future__ import annotations

from edgeseg.pixels.arrays import Bgr, ClassMap, Frame, Logits, Output, Planes
from edgeseg.pixels.input import covered_share, fitted_size, opencv_resize, to_input
from edgeseg.pixels.mask import mask_of, resize_ids, resize_logits, resize_rows, to_mask

__all__ = [
    "Bgr",
    "ClassMap",
    "Frame",
    "Logits",
    "Output",
    "Planes",
    "covered_share",
    "fitted_size",
    "mask_of",
    "opencv_resize",
    "resize_ids",
    "resize_logits",
    "resize_rows",
    "to_input",
    "to_mask",
]
