"""Estimates how far accuracies could be off by chance: the images are drawn again and again.

This is a percentile bootstrap over images (Efron and Tibshirani 1993, chapter 13). Two models are
compared on the same draws, so that what makes an image hard cancels out. A loss of 0.1 points can
be certain although each mIoU alone is known to 2 points only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.accuracy.tally import Tally
from edgeseg.errors import DatasetError
from edgeseg.progress import SILENT, Progress

__all__ = [
    "MIN_IMAGES",
    "Interval",
    "Losses",
    "draw_drops",
    "estimate_losses",
    "estimate_miou_interval",
    "find_joint_intervals",
]

_SAMPLES: Final = 1000
_SEED: Final = 0
_TAILS: Final = (2.5, 97.5)
# Weights held at a time, 40 MB: memory does not grow with images times draws.
_CHUNK_WEIGHTS: Final = 5_000_000

# With fewer images, intervals from resampling are too narrow to call a change certain. What chance
# does on few images is in docs/decisions/0008-reports.md.
MIN_IMAGES: Final = 10

Points = npt.NDArray[np.float64]  # 0..100
Weights = npt.NDArray[np.int64]  # (draws, images): how often each draw has each image


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval, in points."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What a candidate loses against a reference, in points, with 95 % intervals.

    Each class has a row; the row is NaN for a class that never occurs. The classes' intervals hold
    together: the chance that any of them misses is 5 %, however many classes there are.
    `candidate_interval` is of the candidate's mIoU, `miou_interval` of the loss.
    """

    reference_miou: float
    candidate_miou: float
    candidate_interval: Interval
    miou_interval: Interval
    reference_iou: Points  # (classes,)
    candidate_iou: Points  # (classes,)
    class_intervals: Points  # (classes, 2): low, high

    @property
    def miou(self) -> float:
        """The drop of mIoU, in points."""
        return self.reference_miou - self.candidate_miou

    @property
    def classes(self) -> Points:
        """The drop of each class, (classes,), in points."""
        return self.reference_iou - self.candidate_iou


def estimate_miou_interval(counted: Tally, *, progress: Progress = SILENT) -> Interval:
    """Estimate the 95 % interval of one model's mIoU, in points.

    Raises:
        DatasetError: no pixel was counted.
    """
    drawn = [_average(_compute_iou(counted, w)) for w in _draw_weights(len(counted), progress)]
    return _find_percentiles(np.concatenate(drawn))


def draw_drops(reference: Tally, candidate: Tally, *, progress: Progress = SILENT) -> Points:
    """Compute what the candidate's mIoU loses in each draw, (draws,).

    A draw without a labelled pixel is NaN. Over the same images the draws are the same, so results
    can be compared draw by draw.
    """
    return np.concatenate(
        [
            _average(_compute_iou(reference, w)) - _average(_compute_iou(candidate, w))
            for w in _draw_weights(len(reference), progress)
        ]
    )


def estimate_losses(
    reference: Tally,
    candidate: Tally,
    *,
    family: npt.NDArray[np.bool_],
    progress: Progress = SILENT,
) -> Losses:
    """Estimate what the candidate loses against the reference.

    `family`, bool (classes,), selects the classes whose intervals hold together. The other classes
    are too rare to tell; their intervals are computed alike, but promise nothing.

    Raises:
        DatasetError: no pixel was counted.
    """
    drawn = [
        (_compute_iou(reference, w), _compute_iou(candidate, w))
        for w in _draw_weights(len(reference), progress)
    ]
    before, after = (np.concatenate(side) for side in zip(*drawn, strict=True))
    once = np.ones((1, len(reference)), np.int64)
    points = [_compute_iou(side, once) for side in (reference, candidate)]
    own = points[0][0] - points[1][0]
    return Losses(
        reference_miou=float(_average(points[0])[0]),
        candidate_miou=float(_average(points[1])[0]),
        candidate_interval=_find_percentiles(_average(after)),
        miou_interval=_find_percentiles(_average(before) - _average(after)),
        reference_iou=points[0][0],
        candidate_iou=points[1][0],
        class_intervals=find_joint_intervals(own, before - after, family),
    )


def _draw_weights(images: int, progress: Progress) -> Iterator[Weights]:
    """Yield how often each image is drawn, some draws at a time."""
    random = np.random.default_rng(_SEED)
    chances = np.full(images, 1 / images)
    step = max(1, _CHUNK_WEIGHTS // images)
    for start in range(0, _SAMPLES, step):
        progress.phase("drawing the images again", start, _SAMPLES, "draw")
        yield random.multinomial(images, chances, min(step, _SAMPLES - start))
    progress.phase("drawing the images again", _SAMPLES, _SAMPLES, "draw")


def _compute_iou(counted: Tally, weights: Weights) -> Points:
    """Compute IoU in points, (draws, classes); NaN where a draw's truth lacks a class.

    Which classes are NaN depends on the images alone, so two models are averaged over the same
    classes.
    """
    sums = np.zeros((3, len(weights), counted.classes))
    for images, counts in counted.iterate_blocks():
        # BLAS multiplies floats; pixel counts stay exact up to 2^53, in any order of adding.
        sums += weights[:, images].astype(np.float64) @ counts
    hits, labelled, predicted = sums
    union = labelled + predicted - hits
    found: Points = np.where(labelled > 0, 100 * hits / np.maximum(union, 1), np.nan)
    return found


def _average(iou: Points) -> Points:
    """Average each row over the classes that occur: the mIoU; NaN where none occurs."""
    occurring = np.isfinite(iou).sum(axis=1)
    means: Points = np.where(
        occurring > 0, np.nansum(iou, axis=1) / np.maximum(occurring, 1), np.nan
    )
    return means


def _find_percentiles(values: Points) -> Interval:
    """Find the 95 % interval of the draws that have a labelled pixel."""
    known = values[np.isfinite(values)]
    if not known.size:
        raise DatasetError("no labelled pixel was counted; are all masks empty or ignored?")
    low, high = np.percentile(known, _TAILS)
    return Interval(float(low), float(high))


def find_joint_intervals(point: Points, drawn: Points, family: npt.NDArray[np.bool_]) -> Points:
    """Find intervals (classes, 2) that all hold at once, by the largest deviation of each draw.

    This is the bootstrap's max-t (Westfall and Young 1993, chapter 2). In 95 % of the draws, no
    class of the family lies further from its value, measured in its standard errors.
    """
    occurs = np.isfinite(drawn)
    draws = np.maximum(occurs.sum(axis=0), 1)
    deviation = np.where(occurs, drawn - point, 0)
    # Intervals lie around the value, not the draws' mean: a bias of the draws then widens them.
    error = np.sqrt((deviation**2).sum(axis=0) / draws)
    moving = family & (error > 0) & np.isfinite(point)
    if moving.any():
        largest = np.abs(deviation[:, moving] / error[moving]).max(axis=1)
        reach = float(np.percentile(largest, 95))
    else:
        reach = 1.96  # standard errors of a single normal value
    return np.stack([point - reach * error, point + reach * error], axis=1)
