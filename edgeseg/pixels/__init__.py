"""Turns frames into network input, and logits into masks: the only definition of both.

Calibration, accuracy checks and the device all use these functions, so they cannot disagree about
resizing. Normalization is part of the graph.
"""

from __future__ import annotations

from edgeseg.pixels.arrays import (
    LOGITS_DIMENSIONS,
    Bgr,
    ClassMap,
    Frame,
    Logits,
    Output,
    Planes,
    Scores,
)
from edgeseg.pixels.ids import count_ids, find_ids, rename_ids, split_rows
from edgeseg.pixels.input import (
    fit_size,
    measure_coverage,
    resize_bands,
    resize_by_opencv,
    resize_image,
    to_input,
)
from edgeseg.pixels.mask import resize_ids, to_frame_mask, to_mask
from edgeseg.pixels.resizing import resize_logits, resize_rows
from edgeseg.pixels.scores import Place, Probabilities, Take, rate_bands
from edgeseg.pixels.ties import count_untied

__all__ = [
    "LOGITS_DIMENSIONS",
    "Bgr",
    "ClassMap",
    "Frame",
    "Logits",
    "Output",
    "Place",
    "Planes",
    "Probabilities",
    "Scores",
    "Take",
    "count_ids",
    "count_untied",
    "find_ids",
    "measure_coverage",
    "fit_size",
    "rate_bands",
    "rename_ids",
    "to_frame_mask",
    "resize_bands",
    "resize_by_opencv",
    "resize_image",
    "resize_ids",
    "resize_logits",
    "resize_rows",
    "split_rows",
    "to_input",
    "to_mask",
]
