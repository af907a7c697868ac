"""Makes one cell: exports, measures and reports it, or keeps what an earlier run made.

A cell has a bundle, `bundles/NAME`, and a folder, `reports/NAME`, with its report and
`request.json`. That file says what bundle and report were made from. Both are written whole. If
they belong to another request, or somebody changed them, the cell is made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgeseg.bundle.staging import remove_bundle
from edgeseg.bundle.store import open_bundle
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.export import export_bundle
from edgeseg.errors import BundleError, GateMissedError, ReportError
from edgeseg.files.whole import write_file
from edgeseg.progress import Progress
from edgeseg.reports.report import Report, read_report
from edgeseg.reports.writing import REPORTS
from edgeseg.sweep.folder import REQUEST
from edgeseg.sweep.plan import Cell, Plan
from edgeseg.text import to_encodable
from edgeseg.verification.verify import verify

__all__ = ["ERROR", "make_cell"]

ERROR: Final = "error.txt"
_EXPORTED: Final = "exported.txt"  # the hash of the bundle that this cell's export made
_MISSED: Final = "missed.txt"  # the message of an export in which no variant passed


def make_cell(
    plan: Plan,
    cell: Cell,
    request: Mapping[str, object],
    *,
    progress: Progress,
) -> Report:
    """Make the bundle and the report of a cell, and return the report.

    `request` holds all that both depend on, as JSON can write it.

    Raises:
        GateMissedError: no variant passed the gates of the export, now or in an earlier run.
        EdgesegError: the cell cannot be exported or measured.
    """
    reports, bundle = plan.reports_of(cell.name), plan.bundle_of(cell.name)
    _clear_outdated(reports, bundle, request)
    kept = _find_report(reports, bundle)
    if kept is not None:
        progress.say("kept from an earlier run")
        return kept
    _export(plan, cell, progress=progress)
    return verify(plan.verify_of(cell), progress=progress)


def _clear_outdated(reports: Path, bundle: Path, request: Mapping[str, object]) -> None:
    """Remove what was made from another request, and nothing else; write this request.

    Raises:
        ReportError: the folder cannot be written, or holds files that no sweep wrote.
    """
    path = reports / REQUEST
    content = f"{json.dumps(request, indent=1, sort_keys=True)}\n".encode()
    made = [reports / name for name in (_EXPORTED, _MISSED, *REPORTS)]
    try:
        (reports / ERROR).unlink(missing_ok=True)
        if path.exists() and path.read_bytes() == content:
            return
        reports.mkdir(parents=True, exist_ok=True)
        foreign = [] if path.exists() else [one.name for one in made if one.exists()]
        if foreign:
            raise ReportError(
                f"{reports} holds {foreign[0]}, which no sweep wrote; move it away, or choose "
                f"another --output"
            )
        for one in made:
            one.unlink(missing_ok=True)
        remove_bundle(bundle)
        write_file(path, content)
    except OSError as error:
        raise ReportError(
            f"{reports} cannot be written: {error.strerror}; choose another --output"
        ) from None


def _find_report(reports: Path, bundle: Path) -> Report | None:
    """Find the report of an earlier run, if it belongs to the bundle that is there."""
    try:
        report = read_report(reports / "report.json")
        opened = open_bundle(bundle)
    except (ReportError, BundleError):
        return None
    belongs = opened.sha256 == report.candidate.sha256
    return report if belongs and (reports / "report.html").exists() else None


def _export(plan: Plan, cell: Cell, *, progress: Progress) -> None:
    """Export the bundle, unless an earlier run did so or found no variant that passes.

    Raises:
        GateMissedError: no variant passed, now or then.
        EdgesegError: the cell cannot be exported.
    """
    folder = plan.bundle_of(cell.name)
    exported = plan.reports_of(cell.name) / _EXPORTED
    try:
        if exported.exists() and exported.read_bytes() == open_bundle(folder).sha256.encode():
            return
    except BundleError:
        pass  # the export replaces a damaged bundle
    missed = plan.reports_of(cell.name) / _MISSED
    if missed.exists():
        raise GateMissedError(missed.read_text("utf-8"))
    request = fill_defaults(plan.export_of(cell))
    try:
        bundle = export_bundle(request, progress=progress).bundle
    except GateMissedError as error:
        write_file(missed, to_encodable(str(error)).encode())
        raise
    write_file(exported, bundle.sha256.encode())
