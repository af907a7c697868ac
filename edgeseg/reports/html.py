"""The report as one HTML page that needs nothing beside it: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from edgeseg.labels import Labels
from edgeseg.reports.confusions import confusion_moves
from edgeseg.reports.draw import pictures as drawn
from edgeseg.reports.draw.charts import Spread, dots_scale, drop_bar, spread_scale
from edgeseg.reports.draw.heat_map import MOST_CLASSES, heat_map
from edgeseg.reports.draw.pictures import ImagePictures
from edgeseg.reports.draw.side_chart import accuracy_latency_svg
from edgeseg.reports.pages import packaged, rendered
from edgeseg.reports.phrases import headline, in_words, limit_of, summary, verdict
from edgeseg.reports.report import Report
from edgeseg.reports.tables import (
    change_rows,
    change_span,
    class_rows,
    class_span,
    corruption_rows,
    group_rows,
    hex_color,
)

__all__ = ["to_html"]

# Longer tables and lists open at a click.
_OPEN_CLASSES: Final = 40
_OPEN_LINES: Final = 10


def to_html(report: Report, pictures: Sequence[ImagePictures], *, labels: Labels) -> str:
    """The page; `labels` has the colors of the masks.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    return rendered(
        "report.html.jinja",
        css=packaged("report.css"),
        report=report,
        pictures=pictures,
        **_view(report, labels),
    )


def _view(report: Report, labels: Labels) -> dict[str, Any]:
    """What the template does not work out itself."""
    moves = confusion_moves(report)
    names = [result.name for result in report.classes]
    baseline = report.baseline
    changes = () if baseline is None else (baseline.miou, *baseline.classes)
    span = change_span(changes)
    small = moves is not None and len(names) <= MOST_CLASSES
    drop = Spread(value=report.drop, low=report.drop_low, high=report.drop_high)
    return {
        "verdict": verdict(report),
        "headline": headline(report),
        "summary": summary(report),
        "misses": list(map(in_words, report.misses)),
        "gates": [in_words(g) for g in (*report.misses, *(g for g in report.gates if g.passed))],
        "drop_bar": drop_bar(drop, limit_of(report, "max_drop")),
        "classes": class_rows(report, labels),
        "dots_scale": dots_scale(),
        "drop_scale": spread_scale(class_span(report)),
        "moves": moves,
        "heat_map": heat_map(moves, names) if moves is not None and small else None,
        "changes": change_rows(changes[1:], span),
        "mean_change": change_rows(changes[:1], span),
        "change_scale": spread_scale(span),
        "groups": group_rows(report),
        "side_chart": (
            accuracy_latency_svg(report.short_sides, title="Accuracy and latency by short side")
            if report.short_sides
            else None
        ),
        "corruptions": corruption_rows(report),
        "open_classes": _OPEN_CLASSES,
        "open_lines": _OPEN_LINES,
        "tints": {
            name: hex_color(getattr(drawn, name))
            for name in ("LOST", "GAINED", "CHANGED", "UNJUDGED")
        },
        "absent": _absent(report),
    }


def _absent(report: Report) -> list[str]:
    """What a report can hold and this one does not."""
    known = {
        "accuracy on a data set (--data)": report.data,
        "the loss against a reference (--reference)": report.reference,
        "the change since an earlier report (--baseline)": report.baseline,
        "latency, size and memory": report.costs,
        "accuracy on corrupted images (--corruptions)": report.families or None,
        "what INT8 costs in each group of layers": report.sensitivity or None,
    }
    return [what for what, value in known.items() if value is None]
