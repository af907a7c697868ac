"""Computes confusion matrix, IoU and agreement; counts add up over a data set.

mIoU is that of PASCAL VOC and mmsegmentation: intersections and unions are summed over all images
first. The mean is over the classes that occur in the truth. mmsegmentation also counts, at zero, a
class that is predicted and never true. No published data set has such a class. On others, a single
stray pixel would cost a model a whole class. Here the pixel only counts as lost for its true class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import BackendError, DatasetError
from edgeseg.pixels import ClassMap, count_ids, split_rows

__all__ = [
    "AT_CHANCE",
    "NOTHING_IGNORED",
    "Confusion",
    "above_chance",
    "chance_miou",
    "class_shares",
    "count_shares",
    "confusion",
    "iou",
    "mean_iou",
    "pixel_agreement",
]

# No class id is negative.
NOTHING_IGNORED: Final = -1

# Share of the way from guessing to perfect: up to here a model is no better than guessing.
AT_CHANCE: Final = 0.05

Confusion = npt.NDArray[np.int64]
"""Counted pixels: int64 (classes, classes), `[truth, prediction]`."""


def class_shares(mask: ClassMap, classes: Sequence[str]) -> dict[str, float]:
    """Compute the share, 0..1, of a mask's pixels that each class has, by name.

    The mask is unsigned (H, W), uint8 or uint16. Absent classes are left out. An id that is no
    class, which only a faulty engine gives, is named by its number: `id 12`.
    """
    return count_shares(count_ids(mask), classes)


def count_shares(
    counts: npt.NDArray[np.int32] | npt.NDArray[np.int64], classes: Sequence[str]
) -> dict[str, float]:
    """Compute what `class_shares` does from the pixels of each id, int32 or int64 (ids,)."""
    names = (*classes, *(f"id {index}" for index in range(len(classes), len(counts))))
    pixels = counts.sum()
    return {name: float(n / pixels) for name, n in zip(names, counts, strict=False) if n}


def confusion(
    truth: ClassMap, predicted: ClassMap, *, classes: int, ignore_index: int
) -> Confusion:
    """Count pixels by true and predicted class; pixels whose truth is `ignore_index` do not count.

    Both masks are class ids (H, W), uint8 or uint16. The counts are int64 (classes, classes):
    `[truth, prediction]`.

    Raises:
        DatasetError: sizes differ, or the truth holds an id that is neither a class nor ignored.
        BackendError: the prediction holds an id that is no class.
    """
    if truth.shape != predicted.shape:
        raise DatasetError(f"the mask is {truth.shape}, the prediction {predicted.shape}")
    counts = np.zeros(classes * classes, np.int64)
    for rows in split_rows(*truth.shape):
        counts += _count_pairs(truth[rows], predicted[rows], classes, ignore_index)
    return counts.reshape(classes, classes)


def _count_pairs(
    truth: ClassMap, predicted: ClassMap, classes: int, ignore_index: int
) -> npt.NDArray[np.int64]:
    """Count as `confusion` does, into (classes * classes,)."""
    counted = truth != ignore_index
    ids, predictions = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    if ids.size and ids.max() >= classes:
        raise DatasetError(
            f"class id {ids.max()} in the mask, but the model has {classes} classes and the "
            f"ignore index is {ignore_index}"
        )
    if predictions.size and predictions.max() >= classes:
        raise BackendError(
            f"the engine gave the class id {predictions.max()}, but the model has {classes} "
            f"classes; its artifact is unusable"
        )
    pairs = np.bincount(ids * classes + predictions, minlength=classes * classes)
    return pairs.astype(np.int64)


def iou(counts: Confusion) -> npt.NDArray[np.float64]:
    """Compute each class's intersection over union, 0..1; NaN where the class never occurs.

    The counts are int64 (classes, classes), the result is float64 (classes,).
    """
    hits = np.diag(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


def mean_iou(counts: Confusion) -> float:
    """Compute the mean IoU over the classes that occur in the truth, in points (0..100).

    The counts are int64 (classes, classes), as `confusion` gives them.

    Raises:
        DatasetError: no pixel was counted.
    """
    occurring = counts.sum(axis=1) > 0
    if not occurring.any():
        raise DatasetError("no labelled pixel was counted; are all masks empty or ignored?")
    return float(100 * iou(counts)[occurring].mean())


def chance_miou(counts: Confusion) -> float:
    """Compute the mIoU, in points, of blind guesses that are as frequent as the predictions.

    The counts are int64 (classes, classes), as `confusion` gives them.

    Raises:
        DatasetError: no pixel was counted.
    """
    true, predicted = (counts.sum(axis=axis).astype(np.float64) for axis in (1, 0))
    both = true * predicted / max(float(true.sum()), 1.0)
    union = np.maximum(true + predicted - both, 1e-9)
    occurring = true > 0
    if not occurring.any():
        raise DatasetError("no labelled pixel was counted; are all masks empty or ignored?")
    return float(100 * (both / union)[occurring].mean())


def above_chance(miou: float, chance: float) -> float:
    """Compute how far an mIoU is on the way from guessing (0) to a perfect mask (1).

    `miou` and `chance` are in points (0..100).
    """
    return (miou - chance) / max(100 - chance, 1e-9)


def pixel_agreement(first: ClassMap, second: ClassMap) -> float:
    """Compute the share of the pixels with the same class, in points (0..100).

    Both masks are class ids (H, W), uint8 or uint16.

    Raises:
        DatasetError: sizes differ.
    """
    if first.shape != second.shape:
        raise DatasetError(f"masks of different sizes: {first.shape} and {second.shape}")
    return float(100 * np.mean(first == second))
