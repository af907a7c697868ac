"""Compares masks with the ground truth of a source that has it."""

from __future__ import annotations

import numpy as np

from edgeseg.accuracy.metrics import confusion, mean_iou
from edgeseg.errors import BackendError, DatasetError
from edgeseg.labels import Labels
from edgeseg.progress import Say
from edgeseg.runtime.result import Result

__all__ = ["TruthMeter"]


class TruthMeter:
    """A sink that keeps counts only; read `miou` when the run is over.

    Truth that does not fit the model ends the counting but not the run; `say` is told once.
    """

    def __init__(self, labels: Labels, *, say: Say) -> None:
        self._labels = labels
        self._say = say
        self._fits = True
        classes = len(labels.classes)
        self._counts = np.zeros((classes, classes), np.int64)

    @property
    def miou(self) -> float | None:
        """The mIoU over all frames so far, in points (0..100).

        None where no frame had ground truth, or where one frame's truth did not fit: a figure of
        the other frames would be taken for a figure of all.
        """
        return mean_iou(self._counts) if self._fits and self._counts.any() else None

    def write(self, result: Result, /) -> None:
        """Count one frame."""
        if result.captured.truth is None or not self._fits:
            return
        try:
            self._counts += confusion(
                result.captured.truth,
                result.mask,
                classes=len(self._labels.classes),
                ignore_index=self._labels.ignore_index,
            )
        except (BackendError, DatasetError) as error:
            self._fits = False
            self._say(f"no accuracy is told: frame {result.captured.name}: {error}")

    def finish(self) -> None:
        """Do nothing: no file is open."""

    def discard(self) -> None:
        """Do nothing: no file was written."""
