"""Writes GitHub-flavored Markdown in which text from outside stays plain text.

In code spans GitHub marks nothing up, links no number and notifies nobody: its filters leave `code`
alone. Entities do not help: they are mentions again by the time the filters run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from edgeseg.reports.phrases import NOTHING, shorten

__all__ = ["LONGEST_NAME", "Row", "mention_more", "to_cell", "to_code", "fold", "to_table"]

LONGEST_NAME: Final = 60  # characters

Row = Sequence[str]


def to_table(headings: Row, rows: Iterable[Row], alignment: str) -> str:
    """Write a table; `alignment` has l or r for each column; empty columns are left out."""
    rules = ["---:" if letter == "r" else ":---" for letter in alignment]
    columns = zip(headings, rules, *rows, strict=True)
    kept = [column for column in columns if not {*column[2:]} <= {"", NOTHING}]
    return "\n".join(f"| {' | '.join(row)} |" for row in zip(*kept, strict=True))


def fold(title: str, body: str) -> str:
    """Fold `body` until a click; the empty lines make GitHub read the Markdown inside."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def to_cell(text: str, longest: int = LONGEST_NAME) -> str:
    """Write a code span for a table, where a bar would end the cell."""
    return to_code(text, longest).replace("|", "\\|")


def to_code(text: str, longest: int = LONGEST_NAME) -> str:
    """Write a code span; its fence is longer than any run of backticks inside (CommonMark 6.1)."""
    shown = shorten(text, longest)
    if not shown:
        return "(no name)"
    runs = [len(run) for run in re.findall("`+", shown)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def mention_more(count: int, what: str) -> str:
    """Say how many items a list leaves out; empty where it leaves out none."""
    return f"\n\nAnd {count} more {what}, in `report.json`." if count > 0 else ""
