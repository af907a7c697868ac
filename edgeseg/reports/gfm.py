"""Pieces of GitHub-flavored Markdown in which text from outside stays text.

In code spans GitHub marks nothing up, links no number and notifies nobody (its filters leave `code`
alone, whereas entities are mentions again by the time they look).
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
    """`alignment` is l or r, a letter for each column; columns that hold nothing are left out."""
    rules = ["---:" if letter == "r" else ":---" for letter in alignment]
    columns = zip(headings, rules, *rows, strict=True)
    kept = [column for column in columns if not {*column[2:]} <= {"", NOTHING}]
    return "\n".join(f"| {' | '.join(row)} |" for row in zip(*kept, strict=True))


def fold(title: str, body: str) -> str:
    """Opens at a click. The empty lines make GitHub read Markdown inside."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def to_cell(text: str, longest: int = LONGEST_NAME) -> str:
    """A code span in a table, where a bar would end the cell."""
    return to_code(text, longest).replace("|", "\\|")


def to_code(text: str, longest: int = LONGEST_NAME) -> str:
    """A code span; its fence is longer than any run of backticks inside (CommonMark 6.1)."""
    shown = shorten(text, longest)
    if not shown:
        return "(no name)"
    runs = [len(run) for run in re.findall("`+", shown)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def mention_more(count: int, what: str) -> str:
    """What a list was cut by; empty where it was not."""
    return f"\n\nAnd {count} more {what}, in `report.json`." if count > 0 else ""
