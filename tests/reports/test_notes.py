"""What has to be known to read the figures stands in every form of a report."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import msgspec
import pytest
from reports import labels_of, measured, not_judged, without_reference

from edgeseg.errors import SpecError
from edgeseg.reports.html import to_html
from edgeseg.reports.junit import to_junit
from edgeseg.reports.markdown import to_markdown
from edgeseg.reports.phrases import name_verdict, write_headline
from edgeseg.reports.report import Report, encode_report
from edgeseg.reports.terminal import describe_report

NOTES = ("ids 0 and 255 were read as 0 and 1", "class road occurs in no mask")
FORMS: dict[str, Callable[[Report], str]] = {
    "terminal": lambda report: "\n".join(describe_report(report)),
    "json": lambda report: encode_report(report).decode(),
    "markdown": to_markdown,
    "junit": to_junit,
    "html": lambda report: to_html(report, (), labels=labels_of(report)),
}


@pytest.mark.parametrize("form", FORMS)
def test_notes_stand_in_every_form_of_a_report(form: str) -> None:
    text = FORMS[form](measured(notes=NOTES))
    assert all(note in text for note in NOTES)


@pytest.mark.parametrize("form", FORMS)
def test_what_was_not_judged_is_told_apart_from_what_was_missed(form: str) -> None:
    report = not_judged()
    assert (report.passed, report.misses, len(report.unjudged)) == (False, (), 2)
    text = FORMS[form](report)
    for one in report.unjudged:
        assert one.name in text
        assert one.reason in text
        assert one.remedy in text
    assert "PASSED" not in text
    assert not re.search("MISSED|FAILED", text)
    if form != "json":
        assert "NOT JUDGED" in text


def test_what_was_missed_comes_before_what_was_not_judged() -> None:
    report = not_judged(harm=0.42, max_latency_ratio=0.2)
    assert (name_verdict(report), write_headline(report)) == (
        "FAILED",
        "2 of 4 gates missed, 2 not judged",
    )
    assert write_headline(not_judged()) == "4 of 4 gates passed, 2 not judged"


def test_what_was_not_judged_is_a_failure_of_its_own_to_ci() -> None:
    suites = ET.fromstring(to_junit(not_judged()).encode())
    failures = list(suites.iter("failure"))
    assert [failure.get("type") for failure in failures] == ["not judged", "not judged"]
    assert (suites.get("tests"), suites.get("failures")) == ("6", "2")


def test_a_report_of_before_there_was_no_verdict_is_read() -> None:
    """Such a one says true where nothing was judged, and may be a baseline still."""
    text = encode_report(without_reference())
    assert b'"passed": null' in text
    old = text.replace(b'"passed": null', b'"passed": true')
    assert msgspec.json.decode(old, type=Report).passed is True
    with pytest.raises(SpecError, match="a report passes if every gate was judged"):
        msgspec.json.decode(text.replace(b'"passed": null', b'"passed": false'), type=Report)


def test_a_report_reads_its_notes_back() -> None:
    report = measured(notes=NOTES)
    assert msgspec.json.decode(encode_report(report), type=Report).notes == NOTES


def test_many_notes_leave_a_comment_short() -> None:
    text = to_markdown(measured(notes=("x" * 1000,) * 100))
    assert len(text) < 65_536 / 2
    assert "And 80 more notes, in `report.json`." in text
