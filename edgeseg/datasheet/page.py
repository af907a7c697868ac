"""Writes what was seen of a data set as one HTML page, with its images under their masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgeseg.datasheet.sheet import DataSheet, SheetPicture
from edgeseg.errors import ReportError
from edgeseg.files.whole import write_file
from edgeseg.labels import to_hex
from edgeseg.reports.data_facts import describe_facts
from edgeseg.reports.pages import read_packaged, render

__all__ = ["check_page", "write_page"]

_MARK: Final = '<meta name="generator" content="edgeseg data">'
_MOST_FAILING: Final = 100


def check_page(path: Path) -> None:
    """Check that a page can be written to `path`, before images are read.

    Raises:
        ReportError: the folder is not there, or the file is not a page of this command.
    """
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "lies in a folder that is not there"
        raise ReportError(f"{path} {what}; name an .html file")
    if path.exists() and _MARK.encode() not in path.read_bytes()[:4096]:
        raise ReportError(f"{path} is no page of edgeseg data; choose another name")


def write_page(path: Path, sheet: DataSheet, pictures: Sequence[SheetPicture]) -> None:
    """Write the page, whole or not at all.

    Raises:
        ReportError: the file cannot be written.
        MissingPackageError: jinja2 is not installed.
    """
    splits = [
        {
            "sheet": one,
            "lines": list(describe_facts(one.facts)),
            "pictures": [picture for picture in pictures if picture.split == one.split],
            "legend": _make_legend(pictures, one.split),
            "failing": one.failing[:_MOST_FAILING],
            "unshown": max(0, len(one.failing) - _MOST_FAILING),
        }
        for one in sheet.splits
    ]
    css = read_packaged("report.css") + read_packaged("datasheet.css")
    text = render("datasheet.html.jinja", css=css, sheet=sheet, splits=splits)
    try:
        write_file(path, text.encode())
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}; choose another") from None


def _make_legend(pictures: Sequence[SheetPicture], split: str | None) -> dict[str, str]:
    """Map each class to its color, #rrggbb."""
    first = next((picture for picture in pictures if picture.split == split), None)
    if first is None:
        return {}
    colors = map(to_hex, first.labels.palette)
    return dict(zip(first.labels.classes, colors, strict=True))
