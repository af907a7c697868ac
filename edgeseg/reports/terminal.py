"""Writes a report as lines for a terminal: what was measured, then every gate."""

from __future__ import annotations

from collections.abc import Iterator

from edgeseg.reports.measured import Costs
from edgeseg.reports.phrases import (
    NOT_JUDGED,
    describe_networks,
    explain_doubt,
    format_cost,
    judge_brittleness,
    write_headline,
)
from edgeseg.reports.report import Comparison, Noted, Report
from edgeseg.text import pluralize, to_plain

__all__ = ["describe_report"]


def describe_report(report: Report) -> list[str]:
    """Describe what the verdict rests on, then the verdict; all lines are printable."""
    lines = (
        f"measured on {report.candidate.engine}",
        *(f"{side}: {words}" for side, words in describe_networks(report).items()),
        *report.differences.lines,
        *_describe_noted("skipped", report.skipped),
        *_describe_noted("converted", report.converted),
        *_describe_accuracy(report),
        *(f"note: {note}" for note in report.notes),
        *_describe_costs(report.costs),
        *_describe_short_sides(report),
        *_describe_families(report),
        *_describe_comparison(report.baseline),
        *_describe_gates(report),
    )
    return [to_plain(line) for line in lines]


def _describe_noted(what: str, images: tuple[Noted, ...]) -> Iterator[str]:
    """Say how many images there are, why the first one is among them, and what names the rest."""
    if not images:
        return
    first = images[0]
    all_of_them = "" if len(images) == 1 else " (--report FOLDER names all)"
    yield f"{what}: {len(images)}{all_of_them}, the first: {first.name}: {first.reason}"


def _describe_accuracy(report: Report) -> Iterator[str]:
    if report.miou is None:
        return
    how = "" if report.protocol == "ss" else f", protocol {report.way}"
    yield (
        f"mIoU {report.miou:.2f} (95 % interval {report.miou_low:.2f} to {report.miou_high:.2f}) "
        f"on {pluralize(report.images, 'image')}{how}"
    )
    shown = [c for c in report.classes if c.iou is not None]
    classes = [f"{c.name} {c.iou:.2f}" if c.images else f"{c.name} -" for c in shown]
    absent = "" if all(c.images for c in shown) else " (-: not in the truth)"
    yield f"IoU by class: {', '.join(classes)}{absent}"
    if report.reference_miou is None:
        return
    yield (
        f"reference mIoU {report.reference_miou:.2f}, drop {report.drop:+.3f} points "
        f"(95 % interval {report.drop_low:+.3f} to {report.drop_high:+.3f}); "
        f"{report.pixel_agreement:.3f} % of the pixels agree "
        f"(mean IoU with the reference's masks {report.agreement_iou:.2f})"
    )
    if report.worst_class is not None:
        yield f"worst class: {report.worst_class.name}, {report.worst_class.drop:+.3f} points"


def _describe_costs(costs: Costs | None) -> Iterator[str]:
    if costs is None:
        return
    own, speedup = costs.candidate, costs.speedup
    parts = [
        f"{own.latency_ms:.1f} ms a frame of {costs.frame[0]}x{costs.frame[1]} (height x width)"
    ]
    if speedup is not None:
        parts.append(f"{speedup:.2f} times as fast as the reference")
    if own.bytes is not None:
        parts.append(f"{own.bytes / 1e6:.1f} MB of files")
    if own.memory_mb is not None:
        parts.append(f"peak memory {own.memory_mb:.0f} MB")
    yield f"costs: {', '.join(parts)}"


def _describe_short_sides(report: Report) -> Iterator[str]:
    for point in report.short_sides:
        yield (
            f"short side {point.short_px}: mIoU {point.miou:.2f}, {point.latency_ms:.1f} ms a "
            f"frame (FP32 in ONNX Runtime at {point.height}x{point.width})"
        )


def _describe_families(report: Report) -> Iterator[str]:
    for family in report.families:
        kinds = ", ".join(family.corruptions)
        line = f"{family.name} ({kinds}): mIoU {family.miou:.2f}"
        if family.drop is not None:
            line += (
                f", reference {family.reference_miou:.2f}, drop {family.drop:+.3f}; "
                f"{family.extra_drop:+.3f} more than on clean images"
            )
            if family.extra_low is not None:
                line += f" (95 % interval {family.extra_low:+.3f} to {family.extra_high:+.3f})"
            line += f": {judge_brittleness(family)}"
        yield line


def _describe_comparison(found: Comparison | None) -> Iterator[str]:
    if found is None:
        return
    miou = found.miou
    yield (
        f"baseline {found.baseline} of {found.created}: mIoU {miou.before:.2f} then, "
        f"{miou.now:.2f} now, {miou.change:+.3f} "
        f"(95 % interval {miou.low:+.3f} to {miou.high:+.3f}): {miou.verdict}"
    )
    doubt = explain_doubt(found)
    if doubt:
        yield doubt
    for verdict in ("regressed", "improved", "unclear"):
        changes = [c for c in found.classes if c.verdict == verdict]
        if changes:
            shown = (f"{c.name} {c.change:+.2f} ({c.low:+.2f} to {c.high:+.2f})" for c in changes)
            yield f"classes {verdict}: {', '.join(shown)}"
    for what, names in (("new", found.new), ("missing", found.missing)):
        if names:
            yield f"classes {what}: {', '.join(names)}"
    for change in found.costs:
        yield f"{change.name}: {format_cost(change.before)} then, {format_cost(change.now)} now"


def _describe_gates(report: Report) -> Iterator[str]:
    if report.passed is None:
        yield write_headline(report)
    for gate in report.gates:
        verdict = "passed" if gate.passed else "MISSED"
        value = f"{gate.value:.3f} {gate.unit}".rstrip()
        yield f"{verdict}: {gate.name} {value} ({gate.bound} {gate.limit:.3f})"
    for one in report.unjudged:
        yield f"{NOT_JUDGED}: {one.name}: {one.told}"
    if report.misses:
        yield f"{len(report.misses)} of {pluralize(len(report.gates), 'gate')} missed"
