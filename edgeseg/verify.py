"""A bundle against its golden frames, a data set, and the checkpoint it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.bundle import Bundle, is_bundle, open_bundle
from edgeseg.datasets import Dataset, Sample
from edgeseg.errors import DatasetError
from edgeseg.gates import Gate, at_least, at_most
from edgeseg.images import read_image, read_mask
from edgeseg.labels import Labels
from edgeseg.metrics import NOTHING_IGNORED, Confusion, confusion, iou, mean_iou, pixel_agreement
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.runtime.segmenter import Segmenter

__all__ = ["ClassDrop", "Limits", "Report", "open_reference", "verify"]

# Points that a golden frame's agreement may fall below what was recorded at export: another
# machine's rounding moves single pixels at boundaries, a broken engine moves many.
GOLDEN_SLACK: Final = 0.5

# A class counts in the class gate from this share of the pixels and this many images on; below,
# its IoU is noise.
MIN_CLASS_SHARE: Final = 0.001
MIN_CLASS_IMAGES: Final = 5

Segment = Callable[[Bgr], ClassMap]
Track = Callable[[Dataset], Iterable[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Gates, in points (0..100). None switches one off; drops need a reference."""

    max_drop: float | None
    max_class_drop: float | None
    min_agreement: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDrop:
    """How much IoU a class lost against the reference, in points."""

    name: str
    drop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was measured. Accuracies are points (0..100), None where not measured."""

    gates: tuple[Gate, ...]
    images: int = 0
    miou: float | None = None
    class_iou: dict[str, float] = field(default_factory=dict)
    reference_miou: float | None = None
    drop: float | None = None
    worst_class: ClassDrop | None = None
    pixel_agreement: float | None = None
    agreement_iou: float | None = None

    @property
    def passed(self) -> bool:
        """Whether no gate was missed."""
        return all(gate.passed for gate in self.gates)


def verify(
    bundle: Bundle,
    *,
    dataset: Dataset | None = None,
    reference: Segment | None = None,
    limits: Limits,
    track: Track = iter,
) -> Report:
    """Replay the golden frames and, where given, measure a data set; `track` may show progress.

    Raises:
        DatasetError: the data set does not fit the model, or cannot be read.
    """
    with Segmenter(bundle) as segmenter:
        gates = _replay_golden(segmenter)
        if dataset is None:
            return Report(gates=tuple(gates))
        counts = _measure(segmenter, dataset, reference, track)
    return _judge(bundle.manifest.labels, counts, len(dataset), gates, limits)


def open_reference(source: str, bundle: Bundle) -> Segment:
    """The segmentation of another bundle, or of a checkpoint at the bundle's input size.

    Raises:
        EdgesegError: it cannot be read, or has other classes than the bundle.
    """
    classes = len(bundle.manifest.labels.classes)
    if is_bundle(Path(source)):
        other = open_bundle(Path(source))
        found = len(other.manifest.labels.classes)
        segmenter = Segmenter(other)

        def segment(frame: Bgr) -> ClassMap:
            return segmenter.segment(frame).mask

    else:
        from edgeseg.export.checkpoint import read_checkpoint

        spec = bundle.manifest.input
        checkpoint = read_checkpoint(source, size=(spec.height, spec.width))
        from edgeseg.export.reference import reference_mask

        found = checkpoint.spec.classes

        def segment(frame: Bgr) -> ClassMap:
            return reference_mask(checkpoint.model, checkpoint.input, frame)

    if found != classes:
        raise DatasetError(f"reference {source} has {found} classes, the bundle has {classes}")
    return segment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Confusions summed over a data set: each pair is [truth, prediction].

    `reference` and `between` (reference as truth, candidate as prediction) stay 0 without one.
    """

    candidate: Confusion
    reference: Confusion
    between: Confusion
    class_images: npt.NDArray[np.int64]  # (classes,) images in which a class occurs


def _replay_golden(segmenter: Segmenter) -> list[Gate]:
    bundle = segmenter.bundle
    gates = []
    for golden in bundle.manifest.golden:
        mask = segmenter.segment(read_image(bundle.path(golden.frame))).mask
        value = pixel_agreement(read_mask(bundle.path(golden.mask)), mask)
        limit = golden.agreement[bundle.chosen.name] - GOLDEN_SLACK
        gates.append(at_least(f"{golden.frame} pixel agreement", value, limit))
    return gates


def _measure(
    segmenter: Segmenter,
    dataset: Dataset,
    reference: Segment | None,
    track: Track,
) -> _Counts:
    labels = segmenter.bundle.manifest.labels
    _check_classes(labels, dataset)
    ignore_index = (dataset.labels or labels).ignore_index
    classes = len(labels.classes)
    candidate, against, between = (np.zeros((classes, classes), np.int64) for _ in range(3))
    class_images = np.zeros(classes, np.int64)
    for sample in track(dataset):
        mask = segmenter.segment(sample.image).mask
        added = confusion(sample.mask, mask, classes=classes, ignore_index=ignore_index)
        candidate += added
        class_images += added.sum(axis=1) > 0
        if reference is not None:
            expected = reference(sample.image)
            against += confusion(sample.mask, expected, classes=classes, ignore_index=ignore_index)
            between += confusion(expected, mask, classes=classes, ignore_index=NOTHING_IGNORED)
    return _Counts(
        candidate=candidate, reference=against, between=between, class_images=class_images
    )


def _check_classes(labels: Labels, dataset: Dataset) -> None:
    if dataset.labels is None:
        return
    theirs = [name.casefold() for name in dataset.labels.classes]
    ours = [name.casefold() for name in labels.classes]
    if theirs != ours:
        index = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
            min(len(ours), len(theirs)),
        )
        raise DatasetError(
            f"data set {dataset.origin} has {len(theirs)} classes and the model {len(ours)}; they "
            f"first differ at id {index}: {theirs[index : index + 1]} and {ours[index : index + 1]}"
        )


def _judge(
    labels: Labels, counts: _Counts, images: int, gates: list[Gate], limits: Limits
) -> Report:
    miou = mean_iou(counts.candidate)
    class_iou = {
        name: float(100 * value)
        for name, value in zip(labels.classes, iou(counts.candidate), strict=True)
        if not np.isnan(value)
    }
    if not counts.between.any():
        return Report(gates=tuple(gates), images=images, miou=miou, class_iou=class_iou)
    reference_miou = mean_iou(counts.reference)
    worst = _worst_class(labels, counts)
    agreement = float(100 * np.trace(counts.between) / counts.between.sum())
    if limits.max_drop is not None:
        gates = [*gates, at_most("mIoU drop", reference_miou - miou, limits.max_drop)]
    if limits.max_class_drop is not None and worst is not None:
        gates = [*gates, at_most("class IoU drop", worst.drop, limits.max_class_drop)]
    if limits.min_agreement is not None:
        gates = [*gates, at_least("pixel agreement", agreement, limits.min_agreement)]
    return Report(
        gates=tuple(gates),
        images=images,
        miou=miou,
        class_iou=class_iou,
        reference_miou=reference_miou,
        drop=reference_miou - miou,
        worst_class=worst,
        pixel_agreement=agreement,
        agreement_iou=mean_iou(counts.between),
    )


def _worst_class(labels: Labels, counts: _Counts) -> ClassDrop | None:
    drops = 100 * (iou(counts.reference) - iou(counts.candidate))
    pixels = counts.candidate.sum(axis=1)
    counted = (pixels >= MIN_CLASS_SHARE * pixels.sum()) & (counts.class_images >= MIN_CLASS_IMAGES)
    if not counted.any():
        return None
    worst = int(np.argmax(np.where(counted, drops, -np.inf)))
    return ClassDrop(name=labels.classes[worst], drop=float(drops[worst]))
