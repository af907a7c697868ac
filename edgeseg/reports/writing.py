"""Writes all four forms of a report into a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edgeseg.errors import MissingPackageError, ReportError
from edgeseg.files.signature import holds_fields
from edgeseg.files.whole import write_files
from edgeseg.labels import Labels
from edgeseg.reports.draw.pictures import ImagePictures
from edgeseg.reports.html import to_html
from edgeseg.reports.junit import to_junit
from edgeseg.reports.markdown import to_markdown
from edgeseg.reports.report import Report, encode_report

__all__ = ["REPORTS", "check_can_write", "write_reports"]

REPORTS: Final = ("report.json", "report.md", "report.xml", "report.html")


def write_reports(
    folder: Path, report: Report, *, labels: Labels, pictures: Sequence[ImagePictures]
) -> tuple[Path, ...]:
    """Write JSON, Markdown, JUnit XML and HTML; make the folder where there is none.

    All four files are of the new report, or all stay as they were.

    Raises:
        ReportError: the folder does not take the files.
        MissingPackageError: jinja2 is not installed.
    """
    contents = (
        encode_report(report),
        to_markdown(report).encode(),
        to_junit(report).encode(),
        to_html(report, pictures, labels=labels).encode(),
    )
    paths = tuple(folder / name for name in REPORTS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The JSON takes its name first: it marks the other files as edgeseg's.
        write_files(dict(zip(paths, contents, strict=True)))
    except OSError as error:
        raise _explain_refusal(folder, error) from None
    return paths


def check_can_write(folder: Path) -> None:
    """Check that the folder takes a report, and leave no trace: measuring may take an hour.

    Raises:
        ReportError: the folder does not take files, or holds other files of a report's names.
        MissingPackageError: jinja2 is not installed.
    """
    if find_spec("jinja2") is None:
        raise MissingPackageError(
            "jinja2",
            purpose="the HTML report",
            command="pip install 'edgeseg[report]' -c constraints.txt",
        )
    try:
        nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
        taken = [name for name in REPORTS if (folder / name).is_dir()]
        foreign = [name for name in REPORTS if (folder / name).exists() and not _has_report(folder)]
    except OSError as error:
        raise _explain_refusal(folder, error) from None
    if taken:
        raise ReportError(
            f"the report cannot be written to {folder}: {taken[0]} is a folder; choose another one"
        )
    if foreign:
        raise ReportError(
            f"{folder} holds {foreign[0]}, and no report.json of edgeseg's beside it; choose "
            f"another folder"
        )


def _has_report(folder: Path) -> bool:
    """Check whether a report of edgeseg is there: the four files are written together."""
    return holds_fields(folder / REPORTS[0], "candidate", "gates", "passed")


def _explain_refusal(folder: Path, error: OSError) -> ReportError:
    reason = error.strerror or str(error)
    return ReportError(f"the report cannot be written to {folder}: {reason}; choose another folder")
