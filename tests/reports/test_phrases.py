from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from reports import CAMVID, failed, golden_only, measured, without_reference

from edgeseg.accuracy.gates import BASELINE_CLASSES, GOLDEN, Gate, apply_limit, at_least, at_most
from edgeseg.reports.html import to_html
from edgeseg.reports.junit import to_junit
from edgeseg.reports.markdown import to_markdown
from edgeseg.reports.measured import ClassResult
from edgeseg.reports.phrases import (
    MINUS,
    NOTHING,
    describe_gate,
    explain_not_counted,
    format_number,
    format_signed,
    name_verdict,
    to_plain,
    write_headline,
    write_summary,
)
from edgeseg.reports.terminal import describe_report


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    gate: Gate
    value: str
    limit: str


GATES = [
    Case(
        name="a ceiling", gate=apply_limit("max_drop", 0.42, 1),
        value="0.42 points", limit="at most 1.00 points",
    ),
    Case(
        name="a floor",
        gate=at_least("golden/0.png pixel agreement", 97.5, 98.2, key=GOLDEN, unit="%"),
        value="97.50 %", limit="at least 98.20 %",
    ),
    Case(
        name="a floor that is met", gate=apply_limit("min_agreement", 97.0, 97.0),
        value="97.00 %", limit="at least 97.00 %",
    ),
    Case(
        name="no number", gate=apply_limit("min_agreement", float("nan"), 97.0),
        value="not a number %", limit="at least 97.00 %",
    ),
    Case(
        name="just above", gate=apply_limit("max_drop", 1.0004, 1),
        value="1.0004 points", limit="at most 1.0000 points",
    ),
    Case(
        name="a ratio", gate=apply_limit("max_latency_ratio", 0.61, 0.8),
        value="0.61 times the reference's", limit="at most 0.80 times the reference's",
    ),
    Case(
        name="a size", gate=apply_limit("max_size_mb", 1234.5, 2000),
        value="1,234.50 MB", limit="at most 2,000.00 MB",
    ),
    Case(
        name="a count",
        gate=at_most("classes that are gone (Car, Sky)", 2, 0, key=BASELINE_CLASSES),
        value="2", limit="at most 0",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", GATES, ids=lambda case: case.name)
def test_a_gate_says_its_unit_and_side(case: Case) -> None:
    words = describe_gate(case.gate)
    assert (words.value_in_units, words.limit_in_units) == (case.value, case.limit)
    assert words.verdict == ("passed" if case.gate.passed else "missed")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Stra\u00dfe \u6771\u4eac", "Stra\u00dfe \u6771\u4eac"),
        (" two\r\nlines\u2028", "two  lines"),
        ("\u202edesrever\x00", "\ufffddesrever\ufffd"),
        ("lone\udcff", "lone\ufffd"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627", "\u0645\u06cc\u200c\u062e\u0648\u0627"),
    ],
)
def test_text_is_one_line_that_prints(text: str, shown: str) -> None:
    assert to_plain(text) == shown
    to_plain(text).encode()


def test_numbers() -> None:
    assert format_number(-1234.567) == f"{MINUS}1,234.57"
    assert format_number(-0.001) == "0.00"
    assert format_number(None) == NOTHING
    assert (format_signed(0.5), format_signed(-0.5), format_signed(0)) == (
        "+0.50",
        f"{MINUS}0.50",
        "0.00",
    )


def test_the_summary_says_what_was_found() -> None:
    assert write_summary(golden_only()).startswith("No data set was measured")
    assert "there is no reference" in write_summary(without_reference())
    worse, better = write_summary(measured(drop=0.5)), write_summary(measured(drop=-0.25))
    assert "loses 0.50 mIoU points against the reference" in worse
    assert "gains 0.25 mIoU points over the reference" in better
    assert "on 233 images" in worse


def test_the_headline_counts_gates() -> None:
    assert write_headline(failed()) == "2 of 4 gates missed"
    assert write_headline(golden_only(99.0)) == "1 of 1 gate passed"
    assert write_headline(without_reference()) == "nothing was judged, because no limit applies"


def test_without_a_gate_nothing_has_passed() -> None:
    """In each form for people; the JSON says it by its empty list of gates."""
    report = without_reference()
    assert (name_verdict(report), name_verdict(measured()), name_verdict(failed())) == (
        "MEASURED",
        "PASSED",
        "FAILED",
    )
    said = f"MEASURED: {write_headline(report)}"
    assert said in to_markdown(report).splitlines()[0]
    assert said in to_junit(report)
    assert describe_report(report)[-1] == write_headline(report)
    page = to_html(report, [], labels=CAMVID)
    assert re.search(rf"<h2>(?s:.*?)MEASURED <small>{write_headline(report)}</small>", page)
    for text in (to_markdown(report), to_junit(report), page):
        assert "PASSED" not in text
        assert "✅" not in text


def test_why_a_class_is_not_counted() -> None:
    def result(*, images: int, share: float, iou: float | None = 50.0) -> ClassResult:
        return ClassResult(name="Car", share=share, images=images, counted=False, iou=iou)

    assert (
        explain_not_counted(result(images=0, share=0, iou=None)) == "in no truth and no prediction"
    )
    assert explain_not_counted(result(images=0, share=0)) == "in no truth"
    assert explain_not_counted(result(images=4, share=2)) == "in fewer than 5 images"
    assert explain_not_counted(result(images=9, share=0.05)) == "below 0.1 % of the pixels"
    assert explain_not_counted(ClassResult(name="Car", share=2, images=9, counted=True)) is None


def test_a_class_that_is_not_in_the_truth_has_no_iou_on_the_terminal() -> None:
    shown = [
        ClassResult(name="Car", share=100, images=9, counted=True, iou=50.0),
        ClassResult(name="Fence", share=0, images=0, counted=False, iou=0.0),
    ]
    (line,) = (
        line
        for line in describe_report(without_reference(classes=tuple(shown), confusion=()))
        if line.startswith("IoU by class")
    )
    assert line == "IoU by class: Car 50.00, Fence - (-: not in the truth)"
