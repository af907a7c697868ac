"""A bundle against its golden frames, a data set, and the checkpoint it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgeseg.accuracy import Masks, class_iou, compare
from edgeseg.bundle import Bundle, is_bundle, open_bundle
from edgeseg.datasets import Dataset, Differences, Item, Sample, match_classes
from edgeseg.errors import DatasetError, SourceError
from edgeseg.gates import Gate, Limits, at_least, judge
from edgeseg.images import read_image, read_mask
from edgeseg.manifest import Accuracy, VariantInfo
from edgeseg.metrics import Confusion, confusion, mean_iou, pixel_agreement
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.runtime.build import GOLDEN_SLACK
from edgeseg.runtime.segmenter import Segmenter

__all__ = ["ClassDrop", "Report", "Skipped", "open_reference", "verify"]

Segment = Callable[[Bgr], ClassMap]
Track = Callable[[Sequence[Item]], Iterable[Item]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDrop:
    """How much IoU a class lost against the reference, in points."""

    name: str
    drop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An image that could not be measured."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was measured. Accuracies are points (0..100), None where not measured.

    `drop_low` and `drop_high` are the 95 % interval of the drop, from resampled images. `images`
    were measured, `skipped` were not.
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
    skipped: tuple[Skipped, ...] = ()
    differences: Differences = field(default_factory=Differences)

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
    strict: bool = False,
    track: Track = iter,
) -> Report:
    """Replay the golden frames and, where given, measure a data set; `track` may show progress.

    It is the chosen variant that is measured, unless another is named. Images that cannot be read,
    or whose masks do not fit, are skipped and told; `strict` makes them, and classes that differ,
    errors.

    Raises:
        DatasetError: the data set does not fit the model, or nothing in it can be measured.
        SourceError: with `strict`, an image that cannot be read.
    """
    with Segmenter(bundle, variant=variant) as segmenter:
        gates = _replay_golden(segmenter)
        if dataset is None:
            return Report(gates=tuple(gates))
        labels = bundle.manifest.labels
        matched, differences = match_classes(dataset, labels)
        if strict and differences:
            raise DatasetError(f"--strict: {'; '.join(differences.lines)}")
        readable = _Readable(matched.items, track, strict=strict)
        if reference is not None:
            report = _report(_compare(segmenter, readable, reference), gates, limits)
        else:
            counts = _measure(segmenter, readable)
            report = Report(
                gates=tuple(gates),
                images=readable.count,
                miou=mean_iou(counts),
                class_iou=class_iou(labels, counts),
            )
    return replace(report, skipped=tuple(readable.skipped), differences=differences)


class _Readable:
    """The samples of a data set that can be read, one after another; the others are noted."""

    def __init__(self, items: Sequence[Item], track: Track, *, strict: bool) -> None:
        self._items = items
        self._track = track
        self._strict = strict
        self.skipped: list[Skipped] = []
        self.count = 0

    def __iter__(self) -> Iterator[Sample]:
        for item in self._track(self._items):
            sample = self._read(item)
            if sample is not None:
                self.count += 1
                yield sample
        if not self.count:
            raise DatasetError(
                f"none of {len(self._items)} images can be measured, the first for: "
                f"{self.skipped[0].reason}"
            )

    def _read(self, item: Item) -> Sample | None:
        try:
            return item.read()
        except (SourceError, DatasetError) as error:
            if self._strict:
                raise
            self.skipped.append(Skipped(name=item.name, reason=str(error)))
            return None


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


def _measure(segmenter: Segmenter, samples: Iterable[Sample]) -> Confusion:
    """Without a reference there is nothing to lose: the model alone."""
    labels = segmenter.bundle.manifest.labels
    classes = len(labels.classes)
    counts = np.zeros((classes, classes), np.int64)
    for sample in samples:
        mask = segmenter.segment(sample.image).mask
        counts += confusion(sample.mask, mask, classes=classes, ignore_index=labels.ignore_index)
    return counts


def _compare(segmenter: Segmenter, samples: Iterable[Sample], reference: Segment) -> Accuracy:
    labels = segmenter.bundle.manifest.labels
    masks = (Masks(s.mask, reference(s.image), segmenter.segment(s.image).mask) for s in samples)
    return compare(masks, labels, ignore_index=labels.ignore_index)


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
