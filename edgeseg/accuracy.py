"""A candidate's masks against ground truth and against the reference's masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edgeseg.labels import Labels
from edgeseg.manifest import Accuracy
from edgeseg.metrics import (
    NOTHING_IGNORED,
    Confusion,
    ImageTally,
    confusion,
    drop_interval,
    image_tally,
    iou,
    mean_iou,
    tally,
)
from edgeseg.pixels import ClassMap

__all__ = ["MIN_CLASS_IMAGES", "MIN_CLASS_SHARE", "Masks", "class_iou", "compare"]

# A class counts in the class gate from this share of the pixels and this many images on; below,
# its IoU is noise.
MIN_CLASS_SHARE: Final = 0.001
MIN_CLASS_IMAGES: Final = 5


class Masks(NamedTuple):
    """Of one image, all of the same size; `truth` where there is ground truth."""

    truth: ClassMap | None
    reference: ClassMap
    candidate: ClassMap


def compare(images: Iterable[Masks], labels: Labels, *, ignore_index: int) -> Accuracy:
    """Measure a candidate; mIoU as mmsegmentation counts it, over all pixels of all images.

    Raises:
        DatasetError: masks do not fit, or no pixel was labelled.
    """
    classes = len(labels.classes)
    reference, candidate = _Side.empty(classes), _Side.empty(classes)
    between = np.zeros((classes, classes), np.int64)
    count = 0
    for truth, expected, found in images:
        count += 1
        between += confusion(expected, found, classes=classes, ignore_index=NOTHING_IGNORED)
        if truth is not None:
            for mask, side in ((expected, reference), (found, candidate)):
                side.add(confusion(truth, mask, classes=classes, ignore_index=ignore_index))
    agreement = float(100 * np.trace(between) / between.sum())
    if not candidate.images:
        return Accuracy(images=count, pixel_agreement=agreement, agreement_iou=mean_iou(between))
    low, high = drop_interval(tally(reference.images), tally(candidate.images))
    name, worst = _worst_class(labels, reference, candidate)
    return Accuracy(
        images=count,
        miou=mean_iou(candidate.total),
        reference_miou=mean_iou(reference.total),
        drop=mean_iou(reference.total) - mean_iou(candidate.total),
        drop_low=low,
        drop_high=high,
        class_iou=class_iou(labels, candidate.total),
        worst_class=name,
        worst_class_drop=worst,
        pixel_agreement=agreement,
        agreement_iou=mean_iou(between),
    )


def class_iou(labels: Labels, counts: Confusion) -> dict[str, float]:
    """IoU in points of each class that occurs."""
    return {
        name: float(100 * value)
        for name, value in zip(labels.classes, iou(counts), strict=True)
        if not np.isnan(value)
    }


@dataclass(frozen=True, slots=True)
class _Side:
    """One model against the truth: the sum of all images, and what resampling needs of each."""

    total: Confusion
    images: list[ImageTally]

    @staticmethod
    def empty(classes: int) -> _Side:
        return _Side(np.zeros((classes, classes), np.int64), [])

    def add(self, counts: Confusion) -> None:
        np.add(self.total, counts, out=self.total)
        self.images.append(image_tally(counts))


def _worst_class(
    labels: Labels, reference: _Side, candidate: _Side
) -> tuple[str | None, float | None]:
    """The class that lost most IoU, of those that occur often enough to tell."""
    drops = 100 * (iou(reference.total) - iou(candidate.total))
    pixels = reference.total.sum(axis=1)
    images = (tally(reference.images).labelled > 0).sum(axis=0)
    counted = (pixels >= MIN_CLASS_SHARE * pixels.sum()) & (images >= MIN_CLASS_IMAGES)
    if not counted.any():
        return None, None
    worst = int(np.argmax(np.where(counted, drops, -np.inf)))
    return labels.classes[worst], float(drops[worst])
