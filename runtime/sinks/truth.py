"""Compares masks with the ground truth of a source that has it."""

from __future__ import annotations

import numpy as np

from edgeseg.labels import Labels
from edgeseg.metrics import confusion, mean_iou
from edgeseg.runtime.result import Result

__all__ = ["TruthMeter"]


class TruthMeter:
    """A sink that keeps counts only; read `miou` when the run is over."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        classes = len(labels.classes)
        self._counts = np.zeros((classes, classes), np.int64)

    @property
    def miou(self) -> float | None:
        """The mIoU over all frames so far, in points (0..100); None where none had ground truth."""
        return mean_iou(self._counts) if self._counts.any() else None

    def write(self, result: Result, /) -> None:
        """Count one frame."""
        if result.captured.truth is not None:
            self._counts += confusion(
                result.captured.truth,
                result.mask,
                classes=len(self._labels.classes),
                ignore_index=self._labels.ignore_index,
            )

    def finish(self) -> None:
        """Nothing is to be closed."""

    def discard(self) -> None:
        """Nothing is to be removed."""
