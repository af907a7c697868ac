"""The classes of a report as tables of GitHub-flavored Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edgeseg.reports.gfm import and_more, cell, folded, table
from edgeseg.reports.measured import ClassResult
from edgeseg.reports.phrases import interval, number, why_not_counted
from edgeseg.reports.tables import loss_first

__all__ = ["class_tables"]

_WHOLE_TABLE: Final = 40  # classes
_MOST_CLASSES: Final = 180  # COCO-Stuff has 171


def class_tables(classes: Sequence[ClassResult]) -> str:
    """By loss, or by IoU where there is no reference; many of them are folded."""
    if not classes:
        return ""
    ordered = sorted(classes, key=loss_first)
    if len(ordered) <= _WHOLE_TABLE:
        return f"### Classes\n\n{_class_table(ordered)}"
    largest = sorted(classes, key=lambda result: -result.share)[:10]
    first = "lost most" if any(c.drop is not None for c in classes) else "are least accurate"
    return "\n\n".join(
        (
            f"### The ten classes that {first}",
            _class_table(ordered[:10]),
            "### The ten largest classes",
            _class_table(largest),
            _folded_classes(ordered, first),
        )
    )


def _folded_classes(ordered: Sequence[ClassResult], first: str) -> str:
    shown = ordered[:_MOST_CLASSES]
    left = len(ordered) - len(shown)
    title = f"The {len(shown)} classes that {first}" if left else f"All {len(ordered)} classes"
    return folded(title, _class_table(shown) + and_more(left, "classes"))


def _class_table(classes: Sequence[ClassResult]) -> str:
    headings = ("Class", "Candidate IoU", "Reference IoU", "Drop", "95 % interval", "Pixels, %")
    rows = [
        (
            cell(result.name) + ("" if result.counted else " \\*"),
            number(result.iou),
            number(result.reference_iou),
            number(result.drop),
            interval(result.drop_low, result.drop_high),
            number(result.share),
        )
        for result in classes
    ]
    reasons = dict.fromkeys(filter(None, map(why_not_counted, classes)))
    note = f"\n\n\\* no gate looks at it: {'; or '.join(reasons)}." if reasons else ""
    return table(headings, rows, "lrrrrr") + note
