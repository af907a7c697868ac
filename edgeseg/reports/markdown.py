"""Writes the report as GitHub-flavored Markdown, for a pull request or a workflow's summary.

Text from outside (names of images, classes, files, engines) stands in code spans, which GitHub
neither marks up nor links, and of which it notifies nobody. Long text is cut, since a comment on
GitHub takes 65,536 characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edgeseg.accuracy.gates import Gate
from edgeseg.corruptions import SEVERITIES
from edgeseg.reports.class_tables import write_class_tables
from edgeseg.reports.confusions import find_moves
from edgeseg.reports.data_facts import describe_facts
from edgeseg.reports.gfm import Row, fold, mention_more, to_cell, to_code, to_table
from edgeseg.reports.phrases import (
    NOT_JUDGED,
    NOTHING,
    describe_gate,
    describe_networks,
    explain_doubt,
    format_cost,
    format_count,
    format_interval,
    format_number,
    format_signed,
    judge_brittleness,
    name_verdict,
    write_headline,
    write_summary,
)
from edgeseg.reports.report import Change, Comparison, Noted, Report, Subject
from edgeseg.reports.tables import make_corruption_rows
from edgeseg.text import list_some, pluralize

__all__ = ["to_markdown"]

_SIGNS: Final = {"PASSED": "✅", "FAILED": "❌", NOT_JUDGED: "❓", "MEASURED": "📏"}
_MOST_GATES: Final = 20
_MOST_NAMES: Final = 5
_MOST_CHANGES: Final = 10
_LONGEST_REASON: Final = 120  # characters
_MOST_NOTES: Final = 20
_LONGEST_NOTE: Final = 400  # characters


def to_markdown(report: Report) -> str:
    """Write the verdict first, then what was missed; details open at a click."""
    word = name_verdict(report)
    parts = [
        f"## {_SIGNS[word]} {word}: {write_headline(report)}",
        _write_subjects(report),
        _write_networks(report),
        write_summary(report),
        _write_notes(report.notes),
        _write_gates(report),
        _write_figures(report),
        write_class_tables(report.classes),
        _write_moves(report),
        _write_input_sizes(report),
        _write_robustness(report),
        "" if report.baseline is None else _write_comparison(report.baseline),
        _write_noted("skipped, not measured", report.skipped),
        _write_noted("converted before measuring", report.converted),
        _write_differences(report),
        fold("Provenance", to_table(("", ""), _write_provenance(report), "ll")),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _write_subjects(report: Report) -> str:
    lines = [f"Candidate {_write_subject(report.candidate)}"]
    if report.reference is not None:
        lines.append(f"reference {_write_subject(report.reference)}")
    if report.data is not None:
        lines.append(f"data {to_code(_join(report.data.name, report.data.split))}")
    return "; ".join(lines) + "."


def _write_subject(subject: Subject) -> str:
    inside = dict.fromkeys(filter(None, (subject.variant, subject.precision)))
    return (
        f"{to_code(subject.name)} ({', '.join(map(to_code, inside))}) on {to_code(subject.engine)}"
    )


def _write_networks(report: Report) -> str:
    told = describe_networks(report).items()
    return "\n".join(f"- {side}: {to_code(words, _LONGEST_NOTE)}" for side, words in told)


def _write_notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    lines = [f"- {to_code(note, _LONGEST_NOTE)}" for note in notes[:_MOST_NOTES]]
    more = mention_more(len(notes) - len(lines), "notes")
    return "\n".join(("**Notes**", "", *lines)) + more


def _write_gates(report: Report) -> str:
    """Write missed gates first, then those not judged, with the reasons below."""
    passed = [gate for gate in report.gates if gate.passed]
    rows = [
        *map(_write_gate, report.misses),
        *((to_cell(one.name), NOTHING, NOTHING, f"**{NOT_JUDGED}**") for one in report.unjudged),
        *map(_write_gate, passed),
    ]
    if not rows:
        return ""
    shown = rows[:_MOST_GATES]
    table = to_table(("Gate", "Measured", "Limit", "Verdict"), shown, "lrrl")
    reasons = [
        f"- {NOT_JUDGED}: {to_code(one.name)}: {to_code(one.told, _LONGEST_NOTE)}"
        for one in report.unjudged
    ]
    more = mention_more(len(rows) - len(shown), "gates")
    return "\n\n".join(filter(None, (table + more, "\n".join(reasons))))


def _write_gate(gate: Gate) -> Row:
    words = describe_gate(gate)
    word = words.verdict if words.passed else f"**{words.verdict}**"
    return to_cell(words.name), words.value_in_units, words.limit_in_units, word


def _write_figures(report: Report) -> str:
    rows: list[Row] = []
    if report.miou is not None:
        interval = format_interval(report.drop_low, report.drop_high)
        within = "" if interval == NOTHING else f" ({interval})"
        drop = NOTHING if report.drop is None else f"drop {format_number(report.drop)}{within}"
        rows.append(
            ("mIoU, points", format_number(report.miou), format_number(report.reference_miou), drop)
        )
    if report.pixel_agreement is not None:
        agreement = format_number(report.pixel_agreement)
        rows.append(("Pixels with the reference's class, %", agreement, "", ""))
        masks = format_number(report.agreement_iou)
        rows.append(("mIoU with the reference's masks, points", masks, "", ""))
    if report.costs is not None:
        own, other = report.costs.candidate, report.costs.reference
        speedup = report.costs.speedup
        height, width = report.costs.frame
        rows += [
            (
                f"Latency of a {height}x{width} frame, median, ms",
                format_number(own.latency_ms, 1),
                format_number(None if other is None else other.latency_ms, 1),
                NOTHING if speedup is None else f"{format_number(speedup)} times as fast",
            ),
            ("Size, MB", *(_to_mb(None if one is None else one.bytes) for one in (own, other)), ""),
            (
                "Peak memory, MB",
                *(format_number(None if one is None else one.memory_mb, 0) for one in (own, other)),
                "",
            ),
        ]
    if not rows:
        return ""
    note = "" if report.drop is None else "\n\nA drop is reference less candidate; 95 % intervals."
    return to_table(("", "Candidate", "Reference", "Comparison"), rows, "lrrr") + note


def _to_mb(size: int | None) -> str:
    return format_number(None if size is None else size / 1e6, 1)


def _write_moves(report: Report) -> str:
    moves = find_moves(report)
    if moves is None or not moves.largest:
        return ""
    title = "Confusions: pixels, more (+) or fewer than with the reference"
    if not moves.compared:
        title = f"Confusions: pixels with another class than in the {moves.source}"
    rows = [
        (
            f"{to_cell(move.source)} → {to_cell(move.target)}",
            format_signed(move.pixels, 0) if moves.compared else format_count(move.pixels),
            format_signed(move.share, 3) if moves.compared else format_number(move.share, 3),
        )
        for move in moves.largest
    ]
    heading = (f"{moves.source.capitalize()} → predicted", "Pixels", "% of the class")
    return fold(title, to_table(heading, rows, "lrr"))


def _write_input_sizes(report: Report) -> str:
    if not report.short_sides:
        return ""
    rows = [
        (
            str(p.short_px),
            f"{p.height}x{p.width}",
            format_number(p.miou),
            format_number(p.latency_ms, 1),
        )
        for p in report.short_sides
    ]
    headings = ("Short side, pixels", "Height x width", "mIoU, points", "Latency, ms")
    return f"### Input sizes\n\n{to_table(headings, rows, 'rrrr')}"


def _write_robustness(report: Report) -> str:
    if not report.families:
        return ""
    rows = [
        (
            family.name,
            format_number(family.miou),
            format_number(family.reference_miou),
            format_number(family.drop),
            format_signed(family.extra_drop, 3),
            format_interval(family.extra_low, family.extra_high, 3),
            judge_brittleness(family),
        )
        for family in report.families
    ]
    headings = (
        "Corrupted images",
        "Candidate",
        "Reference",
        "Drop",
        "Beyond the clean drop",
        "95 % interval",
        "",
    )
    kinds = [
        (
            row.name,
            row.family,
            *map(format_number, row.mious),
            format_number(_compute_mean(row.drops)),
        )
        for row in make_corruption_rows(report)
    ]
    severities = [str(severity) for severity in SEVERITIES]
    details = to_table(("Corruption", "Family", *severities, "Drop"), kinds, "llrrrrrr")
    title = "Each corruption: the candidate's mIoU at severities 1 to 5, and the mean drop"
    return f"{to_table(headings, rows, 'lrrrrrl')}\n\n{fold(title, details)}"


def _compute_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _write_comparison(comparison: Comparison) -> str:
    before = f"Baseline {_write_subject(comparison.subject)} from {to_code(comparison.created)}."
    changed = [change for change in comparison.classes if change.verdict != "unchanged"]
    shown = [comparison.miou, *changed[:_MOST_CHANGES]]
    rows = [_write_change(change) for change in shown]
    headings = ("", "Before", "Now", "Change", "95 % interval", "Verdict")
    parts = [
        f"### Against the baseline {to_code(comparison.baseline)}",
        before,
        explain_doubt(comparison),
        to_table(headings, rows, "lrrrrl")
        + mention_more(len(changed) + 1 - len(shown), "classes that changed"),
        f"Unchanged: {pluralize(len(comparison.classes) - len(changed), 'class')}.",
    ]
    for title, names in (("New", comparison.new), ("Missing", comparison.missing)):
        if names:
            parts.append(f"{title} classes: {_write_names(names)}.")
    if comparison.costs:
        costs = [
            (to_cell(c.name), format_cost(c.before), format_cost(c.now)) for c in comparison.costs
        ]
        parts.append(to_table(("", "Before", "Now"), costs, "lrr"))
    return "\n\n".join(filter(None, parts))


def _write_change(change: Change) -> Row:
    return (
        to_cell(change.name),
        format_number(change.before),
        format_number(change.now),
        format_signed(change.change),
        f"{format_signed(change.low)} to {format_signed(change.high)}",
        f"**{change.verdict}**" if change.verdict == "regressed" else change.verdict,
    )


def _write_noted(what: str, images: Sequence[Noted]) -> str:
    if not images:
        return ""
    lines = [
        f"- {to_code(one.name)}: {to_code(one.reason, _LONGEST_REASON)}"
        for one in images[:_MOST_NAMES]
    ]
    more = len(images) - len(lines)
    if more:
        lines.append(f"- and {more} more, in `report.json`")
    count = f"{pluralize(len(images), 'image')} {what}"
    return "\n".join((f"**{count}**", "", *lines))


def _write_differences(report: Report) -> str:
    found = report.differences
    lines = []
    if found.data_only:
        lines.append(
            f"Not counted, since the model does not have them: {_write_names(found.data_only)}."
        )
    if found.model_only:
        lines.append(f"Classes that the data set does not have: {_write_names(found.model_only)}.")
    return "\n\n".join(lines)


def _write_provenance(report: Report) -> list[Row]:
    data, machine = report.data, report.machine
    known: dict[str, str | None] = {
        "created": report.created,
        "candidate sha256": report.candidate.sha256,
        "reference sha256": None if report.reference is None else report.reference.sha256,
        "data sha256": None if data is None else data.sha256,
        "images measured": None if data is None else str(report.images),
        "images": None
        if data is None or data.facts is None
        else "; ".join(describe_facts(data.facts)),
        "protocol": None if data is None else report.way,
        "input, height x width": f"{report.candidate.height}x{report.candidate.width}",
        "machine": f"{machine.cpu}, {pluralize(machine.cores, 'core')}, {machine.architecture}",
        "counted by": ", ".join(
            f"{pluralize(n, 'worker')} on {cpu}" for cpu, n in report.workers.items()
        ),
        "versions": ", ".join(f"{name} {version}" for name, version in report.tools.items()),
        "license": report.candidate.license,
    }
    return [(name, to_cell(value, _LONGEST_REASON)) for name, value in known.items() if value]


def _join(*words: str | None) -> str:
    return " ".join(filter(None, words))


def _write_names(names: Sequence[str]) -> str:
    return list_some([*map(to_code, names)], _MOST_NAMES)
