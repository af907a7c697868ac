"""How far accuracies could be off by chance: the same images, drawn again and again.

A percentile bootstrap over images (Efron and Tibshirani 1993, chapter 13). Two models are compared
on the same draws, so that what makes an image hard cancels out: a loss of 0.1 points can be certain
where each mIoU alone is known to 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.accuracy.metrics import Confusion
from edgeseg.errors import DatasetError

__all__ = [
    "MIN_IMAGES",
    "ImageTally",
    "Interval",
    "Losses",
    "Tally",
    "draw_drops",
    "tally_image",
    "estimate_losses",
    "estimate_miou_interval",
    "tally",
    "find_joint_intervals",
]

_SAMPLES: Final = 1000
_SEED: Final = 0
_TAILS: Final = (2.5, 97.5)
# Draws at a time hold so many weights, 80 MB: the memory does not grow with images times draws.
_CHUNK_WEIGHTS: Final = 10_000_000

# With fewer images, intervals from resampling are too narrow to call a change certain; what chance
# alone does on few is in docs/decisions/0008-reports.md.
MIN_IMAGES: Final = 10

Points = npt.NDArray[np.float64]  # 0..100
ImageTally = npt.NDArray[np.int64]  # (3, classes): hits, labelled, predicted


@dataclass(frozen=True, slots=True)
class Tally:
    """What IoU needs of every image, (images, classes) each, in pixels: small, and resampled."""

    hits: npt.NDArray[np.int64]
    labelled: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]

    def of(self, images: Sequence[int], classes: Sequence[int]) -> Tally:
        """Those of some images and some classes only, in their order."""
        place = np.ix_(list(images), list(classes))
        return Tally(self.hits[place], self.labelled[place], self.predicted[place])


@dataclass(frozen=True, slots=True)
class Interval:
    """In points."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What a candidate loses against a reference, in points, with 95 % intervals.

    Classes have a row each, NaN for one that never occurs. Their intervals hold together: the
    chance that any of them misses is 5 %, however many there are.
    """

    reference_miou: float
    candidate_miou: float
    miou_interval: Interval
    reference_iou: Points  # (classes,)
    candidate_iou: Points  # (classes,)
    class_intervals: Points  # (classes, 2): low, high

    @property
    def miou(self) -> float:
        """The drop."""
        return self.reference_miou - self.candidate_miou

    @property
    def classes(self) -> Points:
        """The drop of each class, (classes,)."""
        return self.reference_iou - self.candidate_iou


def tally_image(counts: Confusion) -> ImageTally:
    """What IoU needs of one image: a row where the confusion is a square."""
    return np.stack([np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)])


def tally(images: Sequence[ImageTally]) -> Tally:
    """Collect the counts of all images, to resample them."""
    hits, labelled, predicted = np.stack(images, axis=1)
    return Tally(hits, labelled, predicted)


def estimate_miou_interval(counted: Tally) -> Interval:
    """95 % interval of one model's mIoU.

    Raises:
        DatasetError: no pixel was counted.
    """
    means = [
        _average(iou)
        for iou in (_compute_iou(counted, w) for w in _draw_weights(len(counted.hits)))
    ]
    return _find_percentiles(np.concatenate(means))


def draw_drops(reference: Tally, candidate: Tally) -> Points:
    """What the candidate's mIoU loses in each draw, (draws,); NaN where no pixel is labelled.

    Over the same images the draws are the same: differences of several results are paired.
    """
    return np.concatenate(
        [
            _average(_compute_iou(reference, w)) - _average(_compute_iou(candidate, w))
            for w in _draw_weights(len(reference.hits))
        ]
    )


def estimate_losses(reference: Tally, candidate: Tally, *, family: npt.NDArray[np.bool_]) -> Losses:
    """What the candidate loses; `family`, (classes,), are those whose intervals hold together.

    Classes outside of it, too rare to tell, get an interval of the same make without that promise.

    Raises:
        DatasetError: no pixel was counted.
    """
    drawn = [
        (_compute_iou(reference, w), _compute_iou(candidate, w))
        for w in _draw_weights(len(reference.hits))
    ]
    before, after = (np.concatenate(side) for side in zip(*drawn, strict=True))
    once = np.ones((1, len(reference.hits)))
    points = [_compute_iou(side, once) for side in (reference, candidate)]
    own = points[0][0] - points[1][0]
    return Losses(
        reference_miou=float(_average(points[0])[0]),
        candidate_miou=float(_average(points[1])[0]),
        miou_interval=_find_percentiles(_average(before) - _average(after)),
        reference_iou=points[0][0],
        candidate_iou=points[1][0],
        class_intervals=find_joint_intervals(own, before - after, family),
    )


def _draw_weights(images: int) -> Iterator[Points]:
    """How often each image is drawn, (draws, images), some draws at a time."""
    random = np.random.default_rng(_SEED)
    chances = np.full(images, 1 / images)
    step = max(1, _CHUNK_WEIGHTS // images)
    for start in range(0, _SAMPLES, step):
        drawn = random.multinomial(images, chances, min(step, _SAMPLES - start))
        # As floats the products below are BLAS's; pixel counts stay exact up to 2^53.
        yield drawn.astype(np.float64)


def _compute_iou(counted: Tally, weights: Points) -> Points:
    """IoU in points, (draws, classes), NaN where a draw's truth does not have a class.

    That depends on the images alone: two models are averaged over the same classes.
    """
    hits, labelled, predicted = (
        weights @ counts.astype(np.float64)
        for counts in (counted.hits, counted.labelled, counted.predicted)
    )
    union = labelled + predicted - hits
    found: Points = np.where(labelled > 0, 100 * hits / np.maximum(union, 1), np.nan)
    return found


def _average(iou: Points) -> Points:
    """The mIoU of each row: over the classes that occur; NaN where none does."""
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
    """Intervals (classes, 2) of which all hold at once, by the largest deviation of each draw.

    The bootstrap's max-t (Westfall and Young 1993, chapter 2): 95 % of the draws have no class
    of the family further from its value, in its standard errors.
    """
    occurs = np.isfinite(drawn)
    draws = np.maximum(occurs.sum(axis=0), 1)
    deviation = np.where(occurs, drawn - point, 0)
    # Around the value itself, not the draws' mean: a bias of the draws then widens the interval.
    error = np.sqrt((deviation**2).sum(axis=0) / draws)
    moving = family & (error > 0) & np.isfinite(point)
    if moving.any():
        largest = np.abs(deviation[:, moving] / error[moving]).max(axis=1)
        reach = float(np.percentile(largest, 95))
    else:
        reach = 1.96  # of a single normal value
    return np.stack([point - reach * error, point + reach * error], axis=1)
