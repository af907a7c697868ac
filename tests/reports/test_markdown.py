from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt
from reports import (
    HOSTILE,
    at_input_sizes,
    compared,
    corrupted,
    failed,
    golden_only,
    hostile,
    many_classes,
    measured,
    without_reference,
)

from edgeseg.accuracy.gates import apply_limit
from edgeseg.reports.gfm import to_cell, to_code
from edgeseg.reports.markdown import to_markdown

if TYPE_CHECKING:
    from markdown_it.token import Token

COMMENT_LIMIT = 65_536  # characters, of GitHub


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def inline(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or ()


def test_a_report_as_it_looks(golden: Callable[[str, str], None]) -> None:
    base = compared()
    both = failed(baseline=base.baseline, gates=(*failed().gates, base.gates[-1]))
    golden("report.md", to_markdown(both))


def test_the_verdict_comes_first_and_the_missed_gates_before_the_others() -> None:
    text = to_markdown(failed())
    assert "FAILED: 2 of 4 gates missed" in text.splitlines()[0]
    verdicts = re.findall(r"\| (passed|\*\*missed\*\*) \|", text)
    assert verdicts == ["**missed**", "**missed**", "passed", "passed"]
    assert "PASSED" in to_markdown(measured()).splitlines()[0]


def test_what_was_not_measured_takes_no_room() -> None:
    golden_frames = to_markdown(golden_only())
    assert "mIoU" not in golden_frames
    assert "### " not in golden_frames
    alone = to_markdown(without_reference())
    assert "Reference" not in alone
    assert "Drop" not in alone


def test_input_sizes_are_a_table() -> None:
    assert "| 1024 | 1024x2048 | 76.20 | 65.8 |" in to_markdown(at_input_sizes())


def test_corruptions_are_a_row_a_family_and_folded_by_kind() -> None:
    shown, _, folded = to_markdown(corrupted()).partition("<details><summary>Each corruption")
    row = "| weather | 31.40 | 32.20 | 0.80 | +1.320 | 0.900 to 1.700 | more brittle |"
    assert row in shown
    assert "| noise | 31.40 | 32.20 | 0.80 | \N{MINUS SIGN}0.080 |" in shown
    assert "| fog | weather | 38.30 | 34.60 | 30.90 | 27.20 | 23.50 | 1.70 |" in folded


def test_many_classes_are_folded() -> None:
    text = to_markdown(many_classes(150))
    assert len(text) < COMMENT_LIMIT / 2
    shown, _, whole = text.partition("<details><summary>All 150 classes</summary>")
    assert shown.count("| `class number") == 20
    assert whole.count("| `class number") >= 150
    assert "<summary>All" not in to_markdown(many_classes(40))


@pytest.mark.parametrize("name", ["class number", "x" * 60, "`" * 60, "|" * 60])
def test_a_thousand_classes_are_no_longer_than_a_comment(name: str) -> None:
    text = to_markdown(measured(names=tuple(f"{name} {place}" for place in range(1000))))
    assert len(text) < 65_000
    _, _, most = text.partition("<details><summary>The 180 classes that lost most</summary>")
    assert "And 820 more classes, in `report.json`." in most.partition("</details>")[0]


def test_names_stay_text_whatever_is_in_them() -> None:
    """Whatever they hold is in code spans, where GitHub links no number and notifies nobody."""
    text = to_markdown(hostile())
    assert len(text) < COMMENT_LIMIT / 2
    tokens = parsed(text)
    kinds = {token.type for token in inline(tokens)}
    assert kinds <= {"text", "code_inline", "strong_open", "strong_close", "softbreak"}
    outside = "".join(token.content for token in inline(tokens) if token.type == "text")
    for mark in ("@", "#", "<", "`", "octocat", "script", "e.vil"):
        assert mark not in outside
    blocks = {token.content.split("\n")[0] for token in tokens if token.type == "html_block"}
    assert all(re.fullmatch(r"</?details>(<summary>[\w ():+,]+</summary>)?", b) for b in blocks)


def test_no_name_breaks_a_table() -> None:
    row_cells: list[int] = []
    for token in parsed(to_markdown(hostile())):
        if token.type == "tr_open":
            row_cells.append(0)
        elif token.type in {"td_open", "th_open"}:
            row_cells[-1] += 1
        elif token.type == "table_close":
            assert len(set(row_cells)) == 1
            row_cells = []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_reads_as_it_is(name: str) -> None:
    shown = "x" * 59 + "\N{HORIZONTAL ELLIPSIS}" if name == "x" * 400 else name
    shown = re.sub("[\u202e\udcff\x00\x07]", "\ufffd", shown).replace("\n", " ")
    for text in (to_code(name), f"| a |\n|---|\n| {to_cell(name)} |"):
        spans = [token.content for token in inline(parsed(text)) if token.type == "code_inline"]
        assert spans == [shown]


def test_a_value_next_to_its_limit_is_told_from_it() -> None:
    text = to_markdown(golden_only(gates=[apply_limit("max_drop", 1.004, 1.0)]))
    assert "| 1.004 points | at most 1.000 points |" in text
