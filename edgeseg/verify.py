"""A bundle against its golden frames, a data set, and the checkpoint it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeseg.accuracy import Masks, class_iou, compare
from edgeseg.bundle import Bundle, is_bundle, open_bundle
from edgeseg.datasets import Dataset, Sample
from edgeseg.errors import DatasetError
from edgeseg.gates import Gate, Limits, at_least, judge
from edgeseg.images import read_image, read_mask
from edgeseg.labels import Labels
from edgeseg.manifest import Accuracy, VariantInfo
from edgeseg.metrics import Confusion, confusion, mean_iou, pixel_agreement
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.runtime.build import GOLDEN_SLACK
from edgeseg.runtime.segmenter import Segmenter

__all__ = ["ClassDrop", "Report", "open_reference", "verify"]

Segment = Callable[[Bgr], ClassMap]
Track = Callable[[Dataset], Iterable[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDrop:
    """How much IoU a class lost against the reference, in points."""

    name: str
    drop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was measured. Accuracies are points (0..100), None where not measured.

    `drop_low` and `drop_high` are the 95 % interval of the drop, from resampled images.
    """

    gates: tuple[Gate, ...]
    images: int = 0
    miou: float | None = None
    class_iou: dict[str, float] = field(default_factory=dict)
    reference_miou: float | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
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
    variant: VariantInfo | None = None,
    dataset: Dataset | None = None,
    reference: Segment | None = None,
    limits: Limits,
    track: Track = iter,
) -> Report:
    """Replay the golden frames and, where given, measure a data set; `track` may show progress.

    It is the chosen variant that is measured, unless another is named.

    Raises:
        DatasetError: the data set does not fit the model, or cannot be read.
    """
    with Segmenter(bundle, variant=variant) as segmenter:
        gates = _replay_golden(segmenter)
        if dataset is None:
            return Report(gates=tuple(gates))
        labels = bundle.manifest.labels
        _check_classes(labels, dataset)
        if reference is not None:
            return _report(_compare(segmenter, dataset, reference, track), gates, limits)
        counts = _measure(segmenter, dataset, track)
    return Report(
        gates=tuple(gates),
        images=len(dataset),
        miou=mean_iou(counts),
        class_iou=class_iou(labels, counts),
    )


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


def _replay_golden(segmenter: Segmenter) -> list[Gate]:
    bundle = segmenter.bundle
    gates = []
    for golden in bundle.manifest.golden:
        mask = segmenter.segment(read_image(bundle.path(golden.frame))).mask
        value = pixel_agreement(read_mask(bundle.path(golden.mask)), mask)
        limit = golden.agreement[segmenter.variant.name] - GOLDEN_SLACK
        gates.append(at_least(f"{golden.frame} pixel agreement", value, limit))
    return gates


def _measure(segmenter: Segmenter, dataset: Dataset, track: Track) -> Confusion:
    """Without a reference there is nothing to lose: the model alone."""
    labels = segmenter.bundle.manifest.labels
    classes = len(labels.classes)
    counts = np.zeros((classes, classes), np.int64)
    for sample in track(dataset):
        mask = segmenter.segment(sample.image).mask
        counts += confusion(
            sample.mask, mask, classes=classes, ignore_index=_ignore_index(labels, dataset)
        )
    return counts


def _compare(segmenter: Segmenter, dataset: Dataset, reference: Segment, track: Track) -> Accuracy:
    labels = segmenter.bundle.manifest.labels
    masks = (
        Masks(s.mask, reference(s.image), segmenter.segment(s.image).mask) for s in track(dataset)
    )
    return compare(masks, labels, ignore_index=_ignore_index(labels, dataset))


def _ignore_index(labels: Labels, dataset: Dataset) -> int:
    return (dataset.labels or labels).ignore_index


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


def _report(accuracy: Accuracy, gates: list[Gate], limits: Limits) -> Report:
    worst = accuracy.worst_class_drop
    return Report(
        gates=(*gates, *judge(accuracy, limits)),
        images=accuracy.images,
        miou=accuracy.miou,
        class_iou=accuracy.class_iou,
        reference_miou=accuracy.reference_miou,
        drop=accuracy.drop,
        drop_low=accuracy.drop_low,
        drop_high=accuracy.drop_high,
        worst_class=(
            None
            if accuracy.worst_class is None or worst is None
            else ClassDrop(name=accuracy.worst_class, drop=worst)
        ),
        pixel_agreement=accuracy.pixel_agreement,
        agreement_iou=accuracy.agreement_iou,
    )
