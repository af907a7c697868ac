"""Writes GitHub-flavored Markdown in which text from outside stays plain text.

GitHub does not mark up what stands in code spans, links no number in them and notifies nobody: its
filters leave `code` alone. Entities would not help: GitHub turns them into characters before its
filters look for mentions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from edgeseg.reports.phrases import NOTHING, shorten

__all__ = ["LONGEST_NAME", "Row", "fold", "mention_more", "to_cell", "to_code", "to_table"]

LONGEST_NAME: Final = 60  # characters

Row = Sequence[str]


def to_table(headings: Row, rows: Iterable[Row], alignment: str) -> str:
    """Write a table without its empty columns; `alignment` has l or r for each column."""
    rules = ["---:" if letter == "r" else ":---" for letter in alignment]
    columns = zip(headings, rules, *rows, strict=True)
    kept = [column for column in columns if not {*column[2:]} <= {"", NOTHING}]
    return "\n".join(f"| {' | '.join(row)} |" for row in zip(*kept, strict=True))


def fold(title: str, body: str) -> str:
    """Hide `body`, which is Markdown, until a click on `title`."""
    # The empty lines make GitHub read the Markdown inside.
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def to_cell(text: str, longest: int = LONGEST_NAME) -> str:
    """Write a code span for a cell of a table."""
    # A bar would end the cell, even in a code span.
    return to_code(text, longest).replace("|", "\\|")


def to_code(text: str, longest: int = LONGEST_NAME) -> str:
    """Write a code span of at most `longest` characters."""
    shown = shorten(text, longest)
    if not shown:
        return "(no name)"
    # The fence has to be longer than any run of backticks inside (CommonMark 6.1).
    runs = [len(run) for run in re.findall("`+", shown)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def mention_more(count: int, what: str) -> str:
    """Say how many items a list leaves out; empty where it leaves out none."""
    return f"\n\nAnd {count} more {what}, in `report.json`." if count > 0 else ""
