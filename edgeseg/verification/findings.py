"""Turns the counts of a measurement into the fields of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeseg.accuracy.bootstrap import Interval, Losses, estimate_miou_interval
from edgeseg.accuracy.counts import MIN_CLASS_SHARE, Counts
from edgeseg.accuracy.metrics import Confusion, iou, mean_iou
from edgeseg.accuracy.tally import ImageTally, spread
from edgeseg.progress import SILENT, Progress
from edgeseg.reports.measured import ClassDrop, ClassResult, ImageResult
from edgeseg.text import to_encodable
from edgeseg.verification.reader import Measured

__all__ = ["make_accuracy_fields", "rank_hardest_first", "make_image_results"]


def make_accuracy_fields(counts: Counts, *, progress: Progress = SILENT) -> dict[str, Any]:
    """Make the fields of a `Report` that say how accurate the candidate is.

    Raises:
        DatasetError: no pixel was labelled.
    """
    miou = mean_iou(counts.candidate.total)
    fields = {
        "images": counts.images,
        "miou": miou,
        "confusion": _to_rows(counts.candidate.total),
    }
    if not counts.reference.images:
        interval = estimate_miou_interval(counts.candidate.tally, progress=progress)
        return fields | _bound("miou", interval) | {"classes": _make_class_results(counts, None)}
    lost = counts.losses(progress)
    reference_miou = mean_iou(counts.reference.total)
    classes = _make_class_results(counts, lost)
    between = counts.between
    return {
        **fields,
        **_bound("miou", lost.candidate_interval),
        **_bound("drop", lost.miou_interval),
        "classes": classes,
        "reference_miou": reference_miou,
        "drop": reference_miou - miou,
        "worst_class": _find_worst(classes),
        "pixel_agreement": float(100 * np.trace(between) / between.sum()),
        "agreement_iou": mean_iou(between),
        "reference_confusion": _to_rows(counts.reference.total),
        "agreement_confusion": _to_rows(between),
    }


def _bound(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}


def make_image_results(counts: Counts, measured: Sequence[Measured]) -> tuple[ImageResult, ...]:
    """Make one result for each image, in the order of `measured`."""
    if not counts.reference.images:
        pairs = zip(measured, counts.candidate.images, strict=True)
        return tuple(_make_image_result(item, own, None, None) for item, own in pairs)
    rows = zip(
        measured, counts.candidate.images, counts.reference.images, counts.agreements, strict=True
    )
    return tuple(_make_image_result(*row) for row in rows)


def rank_hardest_first(counts: Counts, images: Sequence[ImageResult]) -> list[int]:
    """Rank images by loss or, without a reference, by low accuracy; return their indices."""
    if counts.reference.images:
        hardness = [image.lost or 0.0 for image in images]
    else:
        hardness = [-_average_frequent_iou(own) for own in counts.candidate.images]
    return sorted(range(len(images)), key=lambda place: -hardness[place])


def _to_rows(counts: Confusion) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in counts.tolist())


def _make_class_results(counts: Counts, lost: Losses | None) -> tuple[ClassResult, ...]:
    pixels = counts.candidate.total.sum(axis=1)
    images = counts.candidate.tally.shown
    own = 100 * iou(counts.candidate.total)
    theirs = None if lost is None else 100 * iou(counts.reference.total)
    frequent = counts.frequent
    results = []
    for place, name in enumerate(counts.labels.classes):
        result = ClassResult(
            name=name,
            share=float(100 * pixels[place] / pixels.sum()),
            images=int(images[place]),
            counted=bool(frequent[place]),
            iou=_to_number(own[place]),
            reference_iou=None if theirs is None else _to_number(theirs[place]),
            drop=None if theirs is None else _to_number(theirs[place] - own[place]),
            drop_low=None if lost is None else _to_number(lost.class_intervals[place, 0]),
            drop_high=None if lost is None else _to_number(lost.class_intervals[place, 1]),
        )
        results.append(result)
    return tuple(results)


def _to_number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _find_worst(classes: Sequence[ClassResult]) -> ClassDrop | None:
    """Find the class that lost most among those frequent enough to tell."""
    drops = [(c.name, c.drop) for c in classes if c.counted and c.drop is not None]
    if not drops:
        return None
    name, drop = max(drops, key=lambda pair: pair[1])
    return ClassDrop(name=name, drop=drop)


def _make_image_result(
    measured: Measured, own: ImageTally, theirs: ImageTally | None, agreement: float | None
) -> ImageResult:
    classes = own[0].astype(np.int64)
    if theirs is not None:
        classes = np.union1d(classes, theirs[0])
    hits, labelled, predicted = map(_to_column, spread(own, classes))
    others = None if theirs is None else spread(theirs, classes)
    lost = None if theirs is None else _average_frequent_iou(theirs) - _average_frequent_iou(own)
    return ImageResult(
        name=to_encodable(measured.item.name),
        sha256=measured.sha256,
        classes=_to_column(classes),
        labelled=labelled,
        hits=hits,
        predicted=predicted,
        reference_hits=None if others is None else _to_column(others[0]),
        reference_predicted=None if others is None else _to_column(others[2]),
        lost=lost,
        agreement=agreement,
    )


def _to_column(values: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[int, ...]:
    return tuple(values.tolist())


def _average_frequent_iou(counts: ImageTally) -> float:
    """Compute the mean IoU over the frequent classes of one image, in points.

    A class is frequent if it has `MIN_CLASS_SHARE` of the labelled pixels. Otherwise a class of a
    few pixels, or one that is only predicted, would decide over the whole image.
    """
    hits, labelled, predicted = counts[1:].astype(np.int64)
    frequent = (labelled > 0) & (labelled >= MIN_CLASS_SHARE * labelled.sum())
    if not frequent.any():
        return 0.0
    union = labelled + predicted - hits
    return float(100 * np.mean(hits[frequent] / union[frequent]))
