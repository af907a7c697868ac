"""Writes what was seen of a data set as one HTML page, with its images under their masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgeseg.datasheet.sheet import DataSheet, SheetPicture
from edgeseg.labels import to_hex
from edgeseg.reports.data_facts import describe_facts
from edgeseg.reports.own_pages import check_own_page, write_own_page
from edgeseg.reports.pages import read_packaged, render

__all__ = ["check_page", "write_page"]

_MARK: Final = '<meta name="generator" content="edgeseg data">'
_MOST_FAILING: Final = 100


def check_page(path: Path) -> None:
    """Check that a page can be written to `path`, before images are read.

    Raises:
        ReportError: the folder is not there, or the file is not a page of this command.
    """
    check_own_page(path, mark=_MARK, what="page of edgeseg data")


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
    write_own_page(path, text)


def _make_legend(pictures: Sequence[SheetPicture], split: str | None) -> dict[str, str]:
    """Map each class to its color, #rrggbb."""
    first = next((picture for picture in pictures if picture.split == split), None)
    if first is None:
        return {}
    colors = map(to_hex, first.labels.palette)
    return dict(zip(first.labels.classes, colors, strict=True))
