"""Compares a report with an earlier one, image by image: what was lost or won beyond chance.

The bootstrap is paired: it draws the same images for both reports. Where 150 classes are compared,
some look worse by chance alone. So the intervals of all classes hold together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.accuracy.bootstrap import MIN_IMAGES, Losses, estimate_losses
from edgeseg.accuracy.counts import MIN_CLASS_IMAGES
from edgeseg.accuracy.gates import (
    BASELINE_CLASSES,
    Judged,
    apply_limit,
    at_most,
    make_unjudged,
    make_unjudged_classes,
    make_worst_gates,
)
from edgeseg.accuracy.limits import Limits, decides, name_option
from edgeseg.accuracy.tally import Tally, collect_tally, make_image_tally
from edgeseg.datasets import Dataset
from edgeseg.errors import ReportError
from edgeseg.progress import SILENT, Progress, track
from edgeseg.reports.measured import ImageResult
from edgeseg.reports.report import Change, Comparison, CostChange, Report
from edgeseg.text import pluralize
from edgeseg.verification.reader import hash_readable
from edgeseg.verification.ways import Way, recall_way

__all__ = ["check_images", "check_way", "compare_reports", "judge_changes"]

_REMEDY: Final = "measure both on the same images in the same way"


def check_way(baseline: Report, now: Way, *, origin: Path) -> None:
    """Refuse a baseline that cannot be compared, before anything is measured.

    Raises:
        ReportError: the baseline holds no data set, or was measured in another way.
    """
    reasons, before = [], recall_way(baseline)
    if baseline.data is None or not baseline.per_image:
        reasons.append("it holds no measurement on a data set")
    elif before.protocol != now.protocol:
        reasons.append(f"its protocol is {before.protocol}, this one {now.protocol}")
    elif before.windows and now.windows and before.windows != now.windows:
        reasons.append(f"it has {before.windows.words}, this one {now.windows.words}")
    if before.size != now.size:
        sizes = f"{before.size[0]}x{before.size[1]}, this one {now.size[0]}x{now.size[1]}"
        reasons.append(f"its input is {sizes} (height x width)")
    _refuse(origin, reasons)


def check_images(
    baseline: Report, dataset: Dataset, *, origin: Path, progress: Progress = SILENT
) -> None:
    """Refuse a data set without every image of the baseline, before hours are spent on it.

    Raises:
        ReportError: an image of the baseline, or its truth, is not there or not the same.
    """
    here = set(map(hash_readable, track(progress, "hashing", dataset.items)))
    alone = [image.name for image in baseline.per_image if image.sha256 not in here]
    if alone:
        ours = _describe(dataset.title, dataset.split, len(dataset))
        _refuse(origin, [_describe_others(_name_data(baseline), ours, len(alone), alone)])


def compare_reports(
    report: Report,
    baseline: Report,
    *,
    origin: Path,
    limits: Limits,
    progress: Progress = SILENT,
) -> Comparison:
    """Compare what both reports measured; classes are matched by name.

    A pixel whose true class only one of the models has counts for that model alone. Images with
    such pixels are left out.

    Raises:
        ReportError: the reports are of other images, or of another ground truth.
    """
    now, before = _map_classes(report), _map_classes(baseline)
    common = _select_common(report, baseline, origin)
    counted = {result.name.strip().casefold() for result in report.classes if result.counted}
    family = np.array([name in counted for name in common.names]) & (
        common.now.shown >= MIN_CLASS_IMAGES
    )
    lost = estimate_losses(common.before, common.now, family=family, progress=progress)
    images = len(common.now)
    return Comparison(
        baseline=origin.name,
        created=baseline.created,
        subject=baseline.candidate,
        images=images,
        miou=_describe_change(
            "mIoU",
            (lost.reference_miou, lost.candidate_miou),
            (lost.miou_interval.low, lost.miou_interval.high),
            limits.max_regression,
            enough=images >= MIN_IMAGES,
        ),
        classes=_list_class_changes(
            [report.classes[now[name]].name for name in common.names],
            lost,
            family,
            limits.max_class_regression,
            enough=images >= MIN_IMAGES,
        ),
        new=tuple(report.classes[now[name]].name for name in now if name not in before),
        missing=tuple(baseline.classes[before[name]].name for name in before if name not in now),
        costs=_compare_costs(report, baseline),
    )


class _Common(NamedTuple):
    """The counts of both reports, on the same images and classes; `names` are the classes'."""

    names: list[str]
    before: Tally
    now: Tally


def _select_common(report: Report, baseline: Report, origin: Path) -> _Common:
    """Select the classes of both reports, and the images that show no other class.

    Raises:
        ReportError: the reports are of other images, or of another ground truth.
    """
    _refuse(origin, _explain_other_images(report, baseline))
    now, before = _map_classes(report), _map_classes(baseline)
    names = [name for name in now if name in before]
    if not names:
        _refuse(origin, ["they have no class in common"])
    whole = _collect_tally(baseline), _collect_tally(report)
    columns = [before[name] for name in names], [now[name] for name in names]
    alike = np.logical_and(*(_show_only(t, own) for t, own in zip(whole, columns, strict=True)))
    if not alike.any():
        _refuse(origin, ["every image shows a class that only one of the models has"])
    sides = [t.select(alike, own) for t, own in zip(whole, columns, strict=True)]
    if not any(side.shown.any() for side in sides):
        _refuse(origin, ["no image shows a class that both models have"])
    _refuse(origin, _explain_other_truth(report, sides, alike, names))
    return _Common(names, *sides)


def judge_changes(comparison: Comparison, limits: Limits, *, rare: str = "") -> Judged:
    """Judge what is lost for certain: the smallest loss that the interval allows.

    With fewer than `MIN_IMAGES` images nothing is certain, so nothing is judged. `rare` says which
    classes are too rare to judge, and how rare they are.
    """
    if comparison.images < MIN_IMAGES:
        return _explain_too_few(comparison.images, limits) + _explain_missing(comparison)
    gates = []
    unjudged = []
    if limits.max_regression is not None:
        certain = max(0.0, 0.0 - comparison.miou.high)
        gates.append(apply_limit("max_regression", certain, limits.max_regression))
    if limits.max_class_regression is not None:
        certainly = {change.name: max(0.0, 0.0 - change.high) for change in comparison.classes}
        gates += make_worst_gates("max_class_regression", certainly, limits.max_class_regression)
        if not certainly and decides(limits.max_class_regression):
            unjudged.append(make_unjudged_classes("max_class_regression", rare=rare))
    return Judged(gates=tuple(gates), unjudged=tuple(unjudged)) + _explain_missing(comparison)


def _explain_too_few(images: int, limits: Limits) -> Judged:
    """Say that there are too few images to judge the limits on regressions that could be missed."""
    return Judged(
        unjudged=tuple(
            make_unjudged(
                limit,
                reason=f"{images} images are compared, and below {MIN_IMAGES} chance alone changes "
                f"as much",
                remedy=f"measure more images, or allow any loss with {name_option(limit)} 100",
            )
            for limit in ("max_regression", "max_class_regression")
            if decides(getattr(limits, limit))
        )
    )


def _explain_missing(comparison: Comparison) -> Judged:
    if not comparison.missing:
        return Judged()
    names = ", ".join(comparison.missing)
    title = f"classes of the baseline that are missing ({names})"
    return Judged(gates=(at_most(title, len(comparison.missing), 0, key=BASELINE_CLASSES),))


def _refuse(origin: Path, reasons: Sequence[str]) -> None:
    if reasons:
        raise ReportError(
            f"baseline {origin} cannot be compared with: {'; '.join(reasons)}; {_REMEDY}"
        )


def _explain_other_images(report: Report, baseline: Report) -> list[str]:
    """Say how the images differ; return nothing where they are the same, in any order."""
    now, before = (Counter(image.sha256 for image in r.per_image) for r in (report, baseline))
    if now == before:
        return []
    alone = [i.name for i in report.per_image if now[i.sha256] > before[i.sha256]]
    alone += [i.name for i in baseline.per_image if before[i.sha256] > now[i.sha256]]
    return [_describe_others(_name_data(baseline), _name_data(report), len(alone), alone)]


def _describe_others(theirs: str, ours: str, count: int, names: Sequence[str]) -> str:
    return (
        f"its data are {theirs}, these {ours}; not in both, or with another "
        f"truth: {pluralize(count, 'image')}, the first: {names[0]}"
    )


def _explain_other_truth(
    report: Report, sides: Sequence[Tally], alike: npt.NDArray[np.bool_], common: Sequence[str]
) -> list[str]:
    """Say why the same files mean something else: their ids are read as other classes."""
    for (images, before), (_, now) in zip(*(s.iterate_blocks() for s in sides), strict=True):
        labelled = before[1], now[1]
        if np.array_equal(*labelled):
            continue
        row, column = (int(place[0]) for place in np.nonzero(labelled[0] != labelled[1]))
        image = _sort_images(report)[np.flatnonzero(alike)[images.start + row]]
        there, here = (int(side[row, column]) for side in labelled)
        counts = f"{there} pixels of {common[column]!r} there, {here} here"
        changed = "were the data set's classes or its ignore index changed?"
        return [f"the truth of {image.name} has {counts}; {changed}"]
    return []


def _show_only(whole: Tally, classes: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Find the images that show no class but `classes`: bool (images,)."""
    others = np.ones(whole.classes, np.bool_)
    others[list(classes)] = False
    shows = others[whole.rows[0]] & (whole.rows[2] > 0)
    found: npt.NDArray[np.bool_] = np.bincount(whole.images[shows], minlength=len(whole)) == 0
    return found


def _name_data(report: Report) -> str:
    assert report.data is not None
    return _describe(report.data.name, report.data.split, report.images)


def _describe(name: str, split: str | None, images: int) -> str:
    return f"{' '.join(filter(None, (name, split)))} ({pluralize(images, 'image')})"


def _map_classes(report: Report) -> Mapping[str, int]:
    """Map each class's name, without case and surrounding blanks, to its index."""
    return {c.name.strip().casefold(): place for place, c in enumerate(report.classes)}


def _sort_images(report: Report) -> list[ImageResult]:
    """Sort the images of a report by their hashes."""
    return sorted(report.per_image, key=lambda image: image.sha256)


def _collect_tally(report: Report) -> Tally:
    """Collect the candidate's counts."""
    images = _sort_images(report)
    tallies = [make_image_tally(i.classes, i.hits, i.labelled, i.predicted) for i in images]
    return collect_tally(tallies, classes=len(report.classes))


def _list_class_changes(
    names: Sequence[str],
    lost: Losses,
    family: npt.NDArray[np.bool_],
    tolerated: float | None,
    *,
    enough: bool,
) -> tuple[Change, ...]:
    """List the changes of classes that are frequent enough to tell, the largest loss first."""
    changes = [
        _describe_change(
            name,
            (float(lost.reference_iou[index]), float(lost.candidate_iou[index])),
            (float(lost.class_intervals[index, 0]), float(lost.class_intervals[index, 1])),
            tolerated,
            enough=enough,
        )
        for index, name in enumerate(names)
        if family[index]
    ]
    return tuple(sorted(changes, key=lambda change: change.change))


def _describe_change(
    name: str,
    values: tuple[float, float],
    loss: tuple[float, float],
    tolerated: float | None,
    *,
    enough: bool,
) -> Change:
    """Describe one change: `values` are before and now, `loss` is the interval of their difference.

    The loss is the value before less the value now. With too few images (`enough` is False) no
    change is called certain.
    """
    before, now = values
    low, high = 0.0 - loss[1], 0.0 - loss[0]  # 0.0 - x never gives -0.0
    margin = tolerated or 0.0
    if enough and high < -margin:
        verdict = "regressed"
    elif enough and low > margin:
        verdict = "improved"
    else:
        verdict = "unchanged" if abs(now - before) <= margin else "unclear"
    return Change(
        name=name, before=before, now=now, change=now - before, low=low, high=high, verdict=verdict
    )


def _compare_costs(report: Report, baseline: Report) -> tuple[CostChange, ...]:
    """Compare size and memory, and latency where machine, engine and frame are the same."""
    if report.costs is None or baseline.costs is None:
        return ()
    now, before = report.costs.candidate, baseline.costs.candidate
    pairs: list[tuple[str, float | None, float | None]] = [
        ("size in bytes", before.bytes, now.bytes),
        ("peak memory in MB", before.memory_mb, now.memory_mb),
    ]
    alike = (report.machine, report.costs.frame, report.candidate.engine) == (
        baseline.machine,
        baseline.costs.frame,
        baseline.candidate.engine,
    )
    if alike:
        pairs.append(("latency in ms", before.latency_ms, now.latency_ms))
    return tuple(
        CostChange(name=name, before=old, now=new)
        for name, old, new in pairs
        if old is not None and new is not None
    )
