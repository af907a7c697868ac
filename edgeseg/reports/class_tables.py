"""Writes the classes of a report as tables of GitHub-flavored Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edgeseg.reports.gfm import fold, mention_more, to_cell, to_table
from edgeseg.reports.measured import ClassResult
from edgeseg.reports.phrases import explain_not_counted, format_interval, format_number
from edgeseg.reports.tables import order_by_loss

__all__ = ["write_class_tables"]

_WHOLE_TABLE: Final = 40  # classes
_MOST_CLASSES: Final = 180  # COCO-Stuff has 171


def write_class_tables(classes: Sequence[ClassResult]) -> str:
    """Write the classes by loss, or by IoU without a reference; fold a long table."""
    if not classes:
        return ""
    ordered = sorted(classes, key=order_by_loss)
    if len(ordered) <= _WHOLE_TABLE:
        return f"### Classes\n\n{_write_class_table(ordered)}"
    largest = sorted(classes, key=lambda result: -result.share)[:10]
    first = "lost most" if any(c.drop is not None for c in classes) else "are least accurate"
    return "\n\n".join(
        (
            f"### The ten classes that {first}",
            _write_class_table(ordered[:10]),
            "### The ten largest classes",
            _write_class_table(largest),
            _fold_classes(ordered, first),
        )
    )


def _fold_classes(ordered: Sequence[ClassResult], first: str) -> str:
    shown = ordered[:_MOST_CLASSES]
    left = len(ordered) - len(shown)
    title = f"The {len(shown)} classes that {first}" if left else f"All {len(ordered)} classes"
    return fold(title, _write_class_table(shown) + mention_more(left, "classes"))


def _write_class_table(classes: Sequence[ClassResult]) -> str:
    headings = ("Class", "Candidate IoU", "Reference IoU", "Drop", "95 % interval", "Pixels, %")
    rows = [
        (
            to_cell(result.name) + ("" if result.counted else " \\*"),
            format_number(result.iou),
            format_number(result.reference_iou),
            format_number(result.drop),
            format_interval(result.drop_low, result.drop_high),
            format_number(result.share),
        )
        for result in classes
    ]
    reasons = dict.fromkeys(filter(None, map(explain_not_counted, classes)))
    note = f"\n\n\\* no gate looks at it: {'; or '.join(reasons)}." if reasons else ""
    return to_table(headings, rows, "lrrrrr") + note
