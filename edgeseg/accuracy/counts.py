"""Counts a candidate's masks against the ground truth and the reference's masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from edgeseg.accuracy.bootstrap import Losses, estimate_losses
from edgeseg.accuracy.metrics import (
    NOTHING_IGNORED,
    Confusion,
    chance_miou,
    confusion,
    iou,
    mean_iou,
)
from edgeseg.accuracy.tally import ImageTally, Tally, collect_tally, tally_image
from edgeseg.bundle.manifest import Accuracy
from edgeseg.labels import Labels
from edgeseg.pixels import ClassMap
from edgeseg.progress import SILENT, Progress

__all__ = ["MIN_CLASS_IMAGES", "MIN_CLASS_SHARE", "Counts", "Masks", "Side", "class_iou", "compare"]

# A class counts in the class gate if it has at least this share of the pixels and this many images.
# Below that, its IoU is noise.
MIN_CLASS_SHARE: Final = 0.001
MIN_CLASS_IMAGES: Final = 5


class Masks(NamedTuple):
    """The masks of one image, all of the same size; `truth` and `reference` may be missing."""

    truth: ClassMap | None
    reference: ClassMap | None
    candidate: ClassMap


@dataclass(frozen=True, slots=True)
class Side:
    """One model against the truth: the sum of all images, and counts of each to resample."""

    total: Confusion
    images: list[ImageTally]

    @staticmethod
    def empty(classes: int) -> Side:
        """Start with no image."""
        return Side(np.zeros((classes, classes), np.int64), [])

    def add(self, counts: Confusion) -> None:
        """Count an image."""
        np.add(self.total, counts, out=self.total)
        self.images.append(tally_image(counts))

    def include(self, other: Side) -> None:
        """Count the images of another side after its own."""
        np.add(self.total, other.total, out=self.total)
        self.images.extend(other.images)

    @property
    def tally(self) -> Tally:
        """Collect the counts of all images, to resample them."""
        return collect_tally(self.images, classes=len(self.total))


class Counts:
    """What is counted over a data set, image after image; no image is kept.

    `between` counts the reference's class against the candidate's, over all pixels. `agreements` is
    the share of each image's pixels, in %, in which both classes are the same.
    """

    def __init__(self, labels: Labels, *, ignore_index: int) -> None:
        classes = len(labels.classes)
        self.labels = labels
        self.candidate, self.reference = Side.empty(classes), Side.empty(classes)
        self.between: Confusion = np.zeros((classes, classes), np.int64)
        self.agreements: list[float] = []
        self.images = 0
        self._ignore_index = ignore_index

    def add(self, masks: Masks) -> None:
        """Count an image.

        Raises:
            DatasetError: the masks do not fit each other.
        """
        truth, expected, found = masks
        classes = len(self.labels.classes)
        self.images += 1
        if expected is not None:
            counts = confusion(expected, found, classes=classes, ignore_index=NOTHING_IGNORED)
            self.between += counts
            self.agreements.append(float(100 * np.trace(counts) / counts.sum()))
        for mask, side in ((expected, self.reference), (found, self.candidate)):
            if truth is not None and mask is not None:
                ignored = self._ignore_index
                side.add(confusion(truth, mask, classes=classes, ignore_index=ignored))

    def include(self, other: Counts) -> None:
        """Count the images of another count after its own; the other stays unchanged."""
        self.candidate.include(other.candidate)
        self.reference.include(other.reference)
        self.between += other.between
        self.agreements += other.agreements
        self.images += other.images

    @property
    def frequent(self) -> npt.NDArray[np.bool_]:
        """Which classes the truth shows often enough to tell their IoU from noise, (classes,)."""
        pixels = self.candidate.total.sum(axis=1)
        counted: npt.NDArray[np.bool_] = (pixels >= MIN_CLASS_SHARE * pixels.sum()) & (
            self.candidate.tally.shown >= MIN_CLASS_IMAGES
        )
        return counted

    def losses(self, progress: Progress = SILENT) -> Losses:
        """Estimate what the candidate loses against the reference on the truth."""
        return estimate_losses(
            self.reference.tally, self.candidate.tally, family=self.frequent, progress=progress
        )

    def accuracy(self) -> Accuracy:
        """Compare candidate with reference; without ground truth, tell only their agreement.

        Raises:
            DatasetError: no pixel was labelled.
        """
        agreement = Accuracy(
            images=self.images,
            pixel_agreement=float(100 * np.trace(self.between) / self.between.sum()),
            agreement_iou=mean_iou(self.between),
        )
        if not self.candidate.images:
            return agreement
        miou, reference_miou = mean_iou(self.candidate.total), mean_iou(self.reference.total)
        lost, counted = self.losses(), self.frequent
        worst = int(np.argmax(np.where(counted, lost.classes, -np.inf))) if counted.any() else None
        return msgspec.structs.replace(
            agreement,
            miou=miou,
            reference_miou=reference_miou,
            chance_miou=chance_miou(self.reference.total),
            drop=reference_miou - miou,
            drop_low=lost.miou_interval.low,
            drop_high=lost.miou_interval.high,
            class_iou=class_iou(self.labels, self.candidate.total),
            worst_class=None if worst is None else self.labels.classes[worst],
            worst_class_drop=None if worst is None else float(lost.classes[worst]),
        )


def compare(images: Iterable[Masks], labels: Labels, *, ignore_index: int) -> Accuracy:
    """Measure a candidate; see `edgeseg.accuracy.metrics` for mIoU.

    Raises:
        DatasetError: masks do not fit, or no pixel was labelled.
    """
    counts = Counts(labels, ignore_index=ignore_index)
    for masks in images:
        counts.add(masks)
    return counts.accuracy()


def class_iou(labels: Labels, counts: Confusion) -> dict[str, float]:
    """Compute the IoU in points of each class that occurs."""
    return {
        name: float(100 * value)
        for name, value in zip(labels.classes, iou(counts), strict=True)
        if not np.isnan(value)
    }
