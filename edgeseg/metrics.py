"""Confusion matrix, IoU and agreement. Pure counting: what is counted is added over a data set.

mIoU is that of PASCAL VOC and mmsegmentation: intersections and unions are summed over all images
first, and the mean is over classes that occur in the truth or the prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import DatasetError
from edgeseg.pixels import ClassMap

__all__ = [
    "NOTHING_IGNORED",
    "Confusion",
    "ImageTally",
    "Tally",
    "class_shares",
    "confusion",
    "drop_interval",
    "image_tally",
    "iou",
    "mean_iou",
    "pixel_agreement",
    "tally",
]

# No class id is negative.
NOTHING_IGNORED: Final = -1

Confusion = npt.NDArray[np.int64]  # (classes, classes): [truth, prediction], in pixels


def class_shares(mask: ClassMap, classes: Sequence[str]) -> dict[str, float]:
    """The part of a mask's pixels, 0..1, that each class has, by name; absent classes are out."""
    counts = np.bincount(mask.ravel(), minlength=len(classes))
    return {name: float(n / mask.size) for name, n in zip(classes, counts, strict=True) if n}


def confusion(
    truth: ClassMap, predicted: ClassMap, *, classes: int, ignore_index: int
) -> Confusion:
    """Count pixels by true and predicted class; pixels whose truth is `ignore_index` do not count.

    Raises:
        DatasetError: sizes differ, or the truth holds an id that is neither a class nor ignored.
    """
    if truth.shape != predicted.shape:
        raise DatasetError(f"the mask is {truth.shape}, the prediction {predicted.shape}")
    counted = truth != ignore_index
    ids, predictions = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    if ids.size and ids.max() >= classes:
        raise DatasetError(
            f"class id {ids.max()} in the mask, but the model has {classes} classes and the "
            f"ignore index is {ignore_index}"
        )
    counts = np.bincount(ids * classes + predictions, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def iou(counts: Confusion) -> npt.NDArray[np.float64]:
    """Intersection over union of each class, 0..1; NaN where a class does not occur at all."""
    hits = np.diag(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


def mean_iou(counts: Confusion) -> float:
    """Mean IoU over the classes that occur, in points (0..100).

    Raises:
        DatasetError: no pixel was counted.
    """
    values = iou(counts)
    if np.isnan(values).all():
        raise DatasetError("no labelled pixel was counted; are all masks empty or ignored?")
    return float(100 * np.nanmean(values))


def pixel_agreement(first: ClassMap, second: ClassMap) -> float:
    """Share of the pixels with the same class, in points (0..100).

    Raises:
        DatasetError: sizes differ.
    """
    if first.shape != second.shape:
        raise DatasetError(f"masks of different sizes: {first.shape} and {second.shape}")
    return float(100 * np.mean(first == second))


@dataclass(frozen=True, slots=True)
class Tally:
    """What IoU needs of every image, (images, classes) each, in pixels: small, and resampled."""

    hits: npt.NDArray[np.int64]
    labelled: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]


ImageTally = npt.NDArray[np.int64]  # (3, classes): hits, labelled, predicted


def image_tally(counts: Confusion) -> ImageTally:
    """What IoU needs of one image: a row where the confusion is a square."""
    return np.stack([np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)])


def tally(images: Sequence[ImageTally]) -> Tally:
    """All images' together."""
    hits, labelled, predicted = np.stack(images, axis=1)
    return Tally(hits, labelled, predicted)


def drop_interval(
    reference: Tally, candidate: Tally, *, samples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the mIoU that the candidate loses, in points.

    A paired percentile bootstrap over images (Efron and Tibshirani 1993, chapter 13): both are
    measured on the same resampled images, so that what makes an image hard cancels out.
    """
    images = len(reference.hits)
    chances = np.full(images, 1 / images)
    weights = np.random.default_rng(seed).multinomial(images, chances, samples)
    drops = _resampled_miou(reference, weights) - _resampled_miou(candidate, weights)
    low, high = np.nanpercentile(drops, [2.5, 97.5])
    return float(low), float(high)


def _resampled_miou(counted: Tally, weights: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The mIoU in points for each row of `weights`, (samples, images) counts of every image."""
    hits = weights @ counted.hits
    union = weights @ (counted.labelled + counted.predicted) - hits
    values = np.where(union > 0, hits / np.maximum(union, 1), np.nan)
    occurring = np.maximum((union > 0).sum(axis=1), 1)
    means: npt.NDArray[np.float64] = 100 * np.nansum(values, axis=1) / occurring
    return means
