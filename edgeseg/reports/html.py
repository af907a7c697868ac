"""Writes the report as one HTML page, which needs no other file, script, font or network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from edgeseg.labels import Labels, to_hex
from edgeseg.reports.confusions import find_moves
from edgeseg.reports.data_facts import describe_facts
from edgeseg.reports.draw import pictures as drawn
from edgeseg.reports.draw.charts import Spread, draw_dots_scale, draw_drop_bar, draw_spread_scale
from edgeseg.reports.draw.heat_map import MOST_CLASSES, draw_heat_map
from edgeseg.reports.draw.pictures import ImagePictures
from edgeseg.reports.draw.side_chart import draw_accuracy_latency
from edgeseg.reports.pages import read_packaged, render
from edgeseg.reports.phrases import (
    describe_gate,
    describe_networks,
    find_limit,
    name_verdict,
    write_headline,
    write_summary,
)
from edgeseg.reports.report import Report
from edgeseg.reports.tables import (
    find_change_span,
    find_class_span,
    make_change_rows,
    make_class_rows,
    make_corruption_rows,
    make_group_rows,
)

__all__ = ["to_html"]

# Longer tables and lists open at a click.
_OPEN_CLASSES: Final = 40
_OPEN_LINES: Final = 10


def to_html(report: Report, pictures: Sequence[ImagePictures], *, labels: Labels) -> str:
    """Write the page, with the pictures of some images; `labels` has the colors of the masks.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    return render(
        "report.html.jinja",
        css=read_packaged("report.css"),
        report=report,
        pictures=pictures,
        **_collect_view(report, labels),
    )


def _collect_view(report: Report, labels: Labels) -> dict[str, Any]:
    """Collect the words and drawings that the template places."""
    moves = find_moves(report)
    names = [result.name for result in report.classes]
    baseline = report.baseline
    changes = () if baseline is None else (baseline.miou, *baseline.classes)
    span = find_change_span(changes)
    small = moves is not None and len(names) <= MOST_CLASSES
    drop = Spread(value=report.drop, low=report.drop_low, high=report.drop_high)
    return {
        "verdict": name_verdict(report),
        "headline": write_headline(report),
        "summary": write_summary(report),
        "networks": describe_networks(report),
        "misses": list(map(describe_gate, report.misses)),
        "gates": [
            describe_gate(g) for g in (*report.misses, *(g for g in report.gates if g.passed))
        ],
        "drop_bar": draw_drop_bar(drop, find_limit(report, "max_drop")),
        "classes": make_class_rows(report, labels),
        "dots_scale": draw_dots_scale(),
        "drop_scale": draw_spread_scale(find_class_span(report)),
        "moves": moves,
        "heat_map": draw_heat_map(moves, names) if moves is not None and small else None,
        "changes": make_change_rows(changes[1:], span),
        "mean_change": make_change_rows(changes[:1], span),
        "change_scale": draw_spread_scale(span),
        "groups": make_group_rows(report),
        "side_chart": (
            draw_accuracy_latency(report.short_sides, title="Accuracy and latency by short side")
            if report.short_sides
            else None
        ),
        "corruptions": make_corruption_rows(report),
        "open_classes": _OPEN_CLASSES,
        "open_lines": _OPEN_LINES,
        "tints": {
            name: to_hex(getattr(drawn, name)) for name in ("LOST", "GAINED", "CHANGED", "UNJUDGED")
        },
        "absent": _list_absent(report),
        "facts": _describe_data(report),
    }


def _describe_data(report: Report) -> list[str]:
    facts = None if report.data is None else report.data.facts
    return [] if facts is None else list(describe_facts(facts))


def _list_absent(report: Report) -> list[str]:
    """List the parts that this report does not have, and the options that add them."""
    known = {
        "accuracy on a data set (--data)": report.data,
        "the loss against a reference (--reference)": report.reference,
        "the change since an earlier report (--baseline)": report.baseline,
        "latency, size and memory": report.costs,
        "accuracy on corrupted images (--corruptions)": report.families or None,
        "what INT8 costs in each group of layers": report.sensitivity or None,
    }
    return [what for what, value in known.items() if value is None]
