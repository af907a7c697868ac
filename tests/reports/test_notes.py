"""What has to be known to read the figures stands in every form of a report."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from reports import labels_of, measured

from edgeseg.reports.html import to_html
from edgeseg.reports.junit import to_junit
from edgeseg.reports.lines import report_lines
from edgeseg.reports.markdown import to_markdown
from edgeseg.reports.report import Report, encode_report

NOTES = ("ids 0 and 255 were read as 0 and 1", "class road occurs in no mask")
FORMS: dict[str, Callable[[Report], str]] = {
    "terminal": lambda report: "\n".join(report_lines(report)),
    "json": lambda report: encode_report(report).decode(),
    "markdown": to_markdown,
    "junit": to_junit,
    "html": lambda report: to_html(report, (), labels=labels_of(report)),
}


@pytest.mark.parametrize("form", FORMS)
def test_notes_stand_in_every_form_of_a_report(form: str) -> None:
    text = FORMS[form](measured(notes=NOTES))
    assert all(note in text for note in NOTES)


def test_a_report_reads_its_notes_back() -> None:
    report = measured(notes=NOTES)
    assert msgspec.json.decode(encode_report(report), type=Report).notes == NOTES


def test_many_notes_leave_a_comment_short() -> None:
    text = to_markdown(measured(notes=("x" * 1000,) * 100))
    assert len(text) < 65_536 / 2
    assert "And 80 more notes, in `report.json`." in text
