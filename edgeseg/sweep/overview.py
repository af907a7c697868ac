"""Writes the overview of a sweep: JSON, Markdown, the picture, and an HTML page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edgeseg.errors import ReportError
from edgeseg.files.whole import write_files
from edgeseg.reports.gfm import to_cell, to_table
from edgeseg.reports.pages import read_packaged, render
from edgeseg.reports.phrases import NOTHING, format_interval, format_number, to_plain
from edgeseg.segformer.form import EXACT, describe_form
from edgeseg.sweep.picture import draw_pareto
from edgeseg.sweep.results import Row, Sweep, encode_sweep
from edgeseg.text import pluralize

__all__ = ["describe_sweep", "to_html", "to_markdown", "write_headline", "write_overview"]

_HEADINGS: Final = (
    "",
    "Cell",
    "Variant",
    "multiply-adds, G",
    "mIoU",
    "Drop",
    "95 % interval",
    "ms",
    "speed, x first",
    "MB",
    "Status",
)
_ALIGNMENT: Final = "rllrrrrrrrl"
_LONGEST_REASON: Final = 200  # characters


def write_overview(folder: Path, sweep: Sweep) -> None:
    """Write sweep.json, sweep.md, sweep.html and, where anything was measured, pareto.svg.

    Raises:
        ReportError: the folder does not take the files.
        MissingPackageError: jinja2 is not installed.
    """
    picture = draw_pareto(sweep.rows)
    contents = {
        "sweep.json": encode_sweep(sweep),
        "sweep.md": to_markdown(sweep).encode(),
        "sweep.html": to_html(sweep, picture).encode(),
    }
    if picture is not None:
        contents["pareto.svg"] = picture.encode()
    try:
        write_files({folder / name: content for name, content in contents.items()})
        if picture is None:
            (folder / "pareto.svg").unlink(missing_ok=True)
    except OSError as error:
        raise ReportError(
            f"the overview cannot be written to {folder}: {error.strerror}; choose another folder"
        ) from None


def to_markdown(sweep: Sweep) -> str:
    """Write a table of all cells, and below it why some did not pass."""
    reasons = [
        f"- {to_cell(row.name)}: {to_cell(row.reason, _LONGEST_REASON)}"
        for row in sweep.rows
        if row.reason is not None
    ]
    parts = (
        f"# Sweep of {write_headline(sweep)}",
        to_table(_HEADINGS, _make_rows(sweep, to_cell), _ALIGNMENT),
        "\n".join(reasons),
        "\n".join(f"- {to_cell(line, _LONGEST_REASON)}" for line in _describe_forms(sweep)),
        _explain_timing(sweep),
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def describe_sweep(sweep: Sweep) -> list[str]:
    """Describe the sweep in lines for a terminal: the table, then why some cells did not pass."""
    return [
        *_align([_HEADINGS, *_make_rows(sweep, to_plain)]),
        *(f"{row.status}: {row.name}: {to_plain(row.reason)}" for row in sweep.rows if row.reason),
        *map(to_plain, _describe_forms(sweep)),
        *filter(None, (_explain_timing(sweep),)),
    ]


def to_html(sweep: Sweep, picture: str | None) -> str:
    """Write a page that needs no other file except the reports that it links to.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    return render(
        "sweep.html.jinja",
        css=read_packaged("report.css"),
        sweep=sweep,
        picture=picture,
        numbers=[_format_numbers(row) for row in sweep.rows],
        headline=write_headline(sweep),
        forms=_describe_forms(sweep),
        timed_how=_explain_timing(sweep),
    )


def _make_rows(sweep: Sweep, show: Callable[[str], str]) -> list[tuple[str, ...]]:
    """Make the rows under `_HEADINGS`; `show` makes names fit for the form."""
    return [
        (
            str(number),
            show(row.name),
            show(row.variant or NOTHING),
            format_number(None if row.macs is None else row.macs / 1e9),
            *_format_numbers(row),
            row.status,
        )
        for number, row in enumerate(sweep.rows, 1)
    ]


def _describe_forms(sweep: Sweep) -> list[str]:
    """Describe the forms of the bundles that were measured, each once."""
    measured = (row for row in sweep.rows if row.variant is not None)
    forms = dict.fromkeys((row.form or EXACT.name, row.form_changes) for row in measured)
    return [f"form {describe_form(name, changes)}" for name, changes in forms]


def _format_numbers(row: Row) -> tuple[str, ...]:
    """Format what was measured of a row, in the order of `_HEADINGS`."""
    return (
        format_number(row.miou),
        format_number(row.drop),
        format_interval(row.drop_low, row.drop_high),
        format_number(row.latency_ms, 1),
        format_number(row.speedup),
        format_number(None if row.bytes is None else row.bytes / 1e6, 1),
    )


def write_headline(sweep: Sweep) -> str:
    """Say how many cells there are, and how many of them have which status."""
    counts = {
        "passed": sum(row.status == "passed" for row in sweep.rows),
        "missed a gate": len(sweep.missed),
        "not judged": len(sweep.unjudged),
        "failed": len(sweep.failed),
    }
    words = [f"{count} {what}" for what, count in counts.items() if count]
    return f"{pluralize(len(sweep.rows), 'cell')}: {', '.join(words)}"


def _explain_timing(sweep: Sweep) -> str:
    """Say how latencies were timed; empty where nothing was timed."""
    if not any(row.latency_ms is not None for row in sweep.rows):
        return ""
    height, width = sweep.frame
    return (
        f"Latencies are medians of {sweep.rounds} whole frames of {height}x{width} pixels "
        f"(height x width), all cells in turns, on {sweep.machine.cpu} with "
        f"{pluralize(sweep.machine.cores, 'core')}."
    )


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the words of each column to one width, to the side that `_ALIGNMENT` says."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            word.rjust(width) if side == "r" else word.ljust(width)
            for word, width, side in zip(row, widths, _ALIGNMENT, strict=True)
        ).rstrip()
        for row in rows
    ]
