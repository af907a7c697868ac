"""Makes the tables of the HTML report: a row holds values and their drawings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from edgeseg.labels import Labels, to_hex
from edgeseg.reports.draw.charts import Span, Spread, draw_bar, draw_dots, draw_spread
from edgeseg.reports.measured import ClassResult, CorruptionResult
from edgeseg.reports.phrases import explain_not_counted, find_limit
from edgeseg.reports.report import Change, Report

__all__ = [
    "ChangeRow",
    "ClassRow",
    "CorruptionRow",
    "GroupRow",
    "make_change_rows",
    "find_change_span",
    "make_class_rows",
    "find_class_span",
    "make_corruption_rows",
    "make_group_rows",
    "order_by_loss",
]

_ORDER: Final = ("regressed", "unclear", "improved", "unchanged")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptionRow:
    """A corruption, with the candidate's mIoU and its loss at each severity from 1 on."""

    name: str
    family: str
    mious: tuple[float, ...]
    drops: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """A class; `color` is that of the masks, or None where the labels do not know the class."""

    result: ClassResult
    color: str | None
    why_not_counted: str | None
    dots: str
    drop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A change since the baseline."""

    change: Change
    drawing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """What INT8 costs in a group of layers, in % of the pixels."""

    name: str
    cost: float
    bar: str


def order_by_loss(result: ClassResult) -> tuple[bool, float, float]:
    """Make a sort key: largest loss first, else lowest IoU; classes that do not count last."""
    drop = 0.0 if result.drop is None else -result.drop
    return not result.counted, drop, 0.0 if result.iou is None else result.iou


def find_class_span(report: Report) -> Span:
    """Find a scale for the drops of classes that count, and the limit on them."""
    counted = [result for result in report.classes if result.counted]
    ends = [end for c in counted for end in (c.drop, c.drop_low, c.drop_high)]
    return Span.around([*ends, _find_class_limit(report)])


def make_class_rows(report: Report, labels: Labels) -> list[ClassRow]:
    """List classes that count in the order of `order_by_loss`, then the others by reason."""
    colors = dict(zip(labels.classes, map(to_hex, labels.palette), strict=True))
    span, limit = find_class_span(report), _find_class_limit(report)
    return [
        ClassRow(
            result=result,
            color=colors.get(result.name),
            why_not_counted=explain_not_counted(result),
            dots=draw_dots(result.reference_iou, result.iou),
            drop=draw_spread(
                Spread(value=result.drop, low=result.drop_low, high=result.drop_high),
                span,
                limit=limit if result.counted else None,
            ),
        )
        for result in sorted(
            report.classes, key=lambda c: (explain_not_counted(c) or "", order_by_loss(c))
        )
    ]


def find_change_span(changes: Iterable[Change]) -> Span:
    """Find a scale for all changes."""
    return Span.around(end for c in changes for end in (c.low, c.change, c.high))


def make_change_rows(changes: Sequence[Change], span: Span) -> list[ChangeRow]:
    """Make a row for each change: regressions first, unchanged values last."""
    return [
        ChangeRow(
            change=change,
            drawing=draw_spread(
                Spread(value=change.change, low=change.low, high=change.high, rise_is_good=True),
                span,
            ),
        )
        for change in sorted(changes, key=lambda c: (_ORDER.index(c.verdict), -abs(c.change)))
    ]


def make_group_rows(report: Report) -> list[GroupRow]:
    """Make a row for each group of layers, the most harmful first."""
    most = max(report.sensitivity.values(), default=0.0)
    ranked = sorted(report.sensitivity.items(), key=lambda item: (-item[1], item[0]))
    return [GroupRow(name=name, cost=cost, bar=draw_bar(cost, most)) for name, cost in ranked]


def make_corruption_rows(report: Report) -> list[CorruptionRow]:
    """Make a row for each corruption, in measured order, with its severities across."""
    rows: dict[str, list[CorruptionResult]] = {}
    for result in report.corruptions:
        rows.setdefault(result.name, []).append(result)
    return [
        CorruptionRow(
            name=name.replace("_", " "),
            family=results[0].family,
            mious=tuple(result.miou for result in results),
            drops=tuple(result.drop for result in results),
        )
        for name, results in rows.items()
    ]


def _find_class_limit(report: Report) -> float | None:
    return find_limit(report, "max_class_drop")
