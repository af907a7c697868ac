"""A report against an earlier one, image by image: what was lost or won beyond chance.

The bootstrap is paired: both are resampled with the same images. A class that 95 of 100 repetitions
would call worse is no alarm where 150 classes are looked at, so the intervals of all classes hold
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.bootstrap import Losses, Tally, losses
from edgeseg.errors import ReportError
from edgeseg.gates import POINTS, Gate, Limits, at_most, worst_of
from edgeseg.reports.report import Change, Comparison, CostChange, Report

__all__ = ["check_protocol", "compare_reports", "judge_changes"]

_REMEDY: Final = "measure both on the same images in the same way"


def check_protocol(baseline: Report, *, origin: Path, protocol: str, size: tuple[int, int]) -> None:
    """Refuse what can be refused before anything is measured.

    Raises:
        ReportError: the baseline holds no data set, or another protocol or input size.
    """
    reasons = []
    if baseline.data is None or not baseline.per_image:
        reasons.append("it holds no measurement on a data set")
    elif baseline.protocol != protocol:
        reasons.append(f"its protocol is {baseline.protocol}, this one {protocol}")
    before = baseline.candidate.height, baseline.candidate.width
    if before != size:
        reasons.append(
            f"its input is {before[0]}x{before[1]}, this one {size[0]}x{size[1]} (height x width)"
        )
    _refuse(origin, reasons)


def compare_reports(
    report: Report, baseline: Report, *, origin: Path, limits: Limits
) -> Comparison:
    """Compare what both measured; classes are matched by name.

    Raises:
        ReportError: other images were measured.
    """
    _refuse(origin, _other_images(report, baseline))
    now, before = _places(report), _places(baseline)
    common = [name for name in now if name in before]
    if not common:
        _refuse(origin, ["they have no class in common"])
    sides = (
        _tally(baseline).of_classes([before[name] for name in common]),
        _tally(report).of_classes([now[name] for name in common]),
    )
    counted = {result.name.strip().casefold() for result in report.classes if result.counted}
    family = np.array([name in counted for name in common])
    lost = losses(*sides, family=family)
    return Comparison(
        baseline=origin.name,
        created=baseline.created,
        subject=baseline.candidate,
        miou=_change(
            "mIoU",
            (lost.reference_miou, lost.candidate_miou),
            (lost.miou_interval.low, lost.miou_interval.high),
            limits.max_regression,
        ),
        classes=_class_changes(
            [report.classes[now[name]].name for name in common],
            lost,
            family,
            limits.max_class_regression,
        ),
        new=tuple(report.classes[now[name]].name for name in now if name not in before),
        missing=tuple(baseline.classes[before[name]].name for name in before if name not in now),
        costs=_cost_changes(report, baseline),
    )


def judge_changes(comparison: Comparison, limits: Limits) -> list[Gate]:
    """What is lost for certain: the least loss that the interval allows, against its limit."""
    gates = []
    if limits.max_regression is not None:
        certain = -comparison.miou.high
        gates.append(
            at_most("mIoU lost beyond chance", certain, limits.max_regression, unit=POINTS)
        )
    if limits.max_class_regression is not None:
        certainly = {change.name: -change.high for change in comparison.classes}
        limit = limits.max_class_regression
        gates += worst_of("class IoU lost beyond chance", certainly, limit)
    if comparison.missing:
        names = ", ".join(comparison.missing)
        gates.append(
            at_most(
                f"classes of the baseline that are missing ({names})", len(comparison.missing), 0
            )
        )
    return gates


def _refuse(origin: Path, reasons: Sequence[str]) -> None:
    if reasons:
        raise ReportError(
            f"baseline {origin} cannot be compared with: {'; '.join(reasons)}; {_REMEDY}"
        )


def _other_images(report: Report, baseline: Report) -> list[str]:
    """Why the images are not the same ones; empty where they are."""
    assert report.data is not None, "a baseline is compared with what was measured on a data set"
    assert baseline.data is not None, "checked before anything was measured"
    now, before = ({image.sha256: image.name for image in r.per_image} for r in (report, baseline))
    if report.data.sha256 == baseline.data.sha256 and now.keys() == before.keys():
        return []
    alone = [now[key] for key in now if key not in before]
    alone += [before[key] for key in before if key not in now]
    if not alone:
        return ["its data set holds further images that could not be measured"]
    return [
        (
            f"its data are {_title(baseline)}, these {_title(report)}: {len(alone)} images with "
            f"their truth are not the same, the first: {alone[0]}"
        )
    ]


def _title(report: Report) -> str:
    assert report.data is not None
    name = " ".join(filter(None, (report.data.name, report.data.split)))
    return f"{name} ({report.images} images)"


def _places(report: Report) -> Mapping[str, int]:
    """Where each class stands, by its name without case and surrounding blanks."""
    return {c.name.strip().casefold(): place for place, c in enumerate(report.classes)}


def _tally(report: Report) -> Tally:
    """The candidate's counts, images in the order of their hashes."""
    images = sorted(report.per_image, key=lambda image: image.sha256)
    counts = np.zeros((3, len(images), len(report.classes)), np.int64)
    for row, image in enumerate(images):
        columns = list(image.classes)
        counts[:, row, columns] = image.hits, image.labelled, image.predicted
    return Tally(*counts)


def _class_changes(
    names: Sequence[str],
    lost: Losses,
    family: npt.NDArray[np.bool_],
    tolerated: float | None,
) -> tuple[Change, ...]:
    """Of the classes that are frequent enough to tell; the largest loss first."""
    changes = [
        _change(
            name,
            (float(lost.reference_iou[index]), float(lost.candidate_iou[index])),
            (float(lost.class_intervals[index, 0]), float(lost.class_intervals[index, 1])),
            tolerated,
        )
        for index, name in enumerate(names)
        if family[index]
    ]
    return tuple(sorted(changes, key=lambda change: change.change))


def _change(
    name: str, values: tuple[float, float], loss: tuple[float, float], tolerated: float | None
) -> Change:
    """`values` are before and now, `loss` is the interval of before less now."""
    before, now = values
    low, high = -loss[1], -loss[0]
    margin = tolerated or 0.0
    if high < -margin:
        verdict = "regressed"
    elif low > margin:
        verdict = "improved"
    else:
        verdict = "unchanged" if abs(now - before) <= margin else "unclear"
    return Change(
        name=name, before=before, now=now, change=now - before, low=low, high=high, verdict=verdict
    )


def _cost_changes(report: Report, baseline: Report) -> tuple[CostChange, ...]:
    """Size and memory; latency where the machine, the engine and the frame are the same."""
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
