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
from edgeseg.files.whole import write_whole
from edgeseg.progress import Progress
from edgeseg.reports.report import Report, read_report
from edgeseg.reports.writing import REPORTS
from edgeseg.sweep.folder import REQUEST
from edgeseg.sweep.plan import Cell, Plan
from edgeseg.verification.verify import verify

__all__ = ["ERROR", "make_cell"]

ERROR: Final = "error.txt"
_EXPORTED: Final = "exported.txt"  # the bundle's hash: it differs if another run sealed the bundle
_MISSED: Final = "missed.txt"


def make_cell(
    plan: Plan,
    cell: Cell,
    request: Mapping[str, object],
    *,
    progress: Progress,
) -> Report:
    """Make the bundle and the report of a cell, and return the report.

    Raises:
        GateMissedError: no variant passed the gates of the export, now or in an earlier run.
        EdgesegError: the cell cannot be exported or measured.
    """
    reports, bundle = plan.reports_of(cell.name), plan.bundle_of(cell.name)
    _claim(reports, bundle, request)
    kept = _find_report(reports, bundle)
    if kept is not None:
        progress.say("kept from an earlier run")
        return kept
    _export(plan, cell, progress=progress)
    return verify(plan.verify_of(cell), progress=progress)


def _claim(reports: Path, bundle: Path, request: Mapping[str, object]) -> None:
    """Remove what another request left of the cell, and nothing else."""
    path = reports / REQUEST
    content = json.dumps(request, indent=1, sort_keys=True) + "\n"
    made = [reports / name for name in (_EXPORTED, _MISSED, *REPORTS)]
    try:
        (reports / ERROR).unlink(missing_ok=True)
        if path.exists() and path.read_text("utf-8") == content:
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
        with write_whole(path) as partial:
            partial.write_text(content, "utf-8")
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
    own = opened.sha256 == report.candidate.sha256
    return report if own and (reports / "report.html").exists() else None


def _export(plan: Plan, cell: Cell, *, progress: Progress) -> None:
    """Export the bundle, unless an earlier run did so or found no variant that passes.

    Raises:
        GateMissedError: no variant passed, now or then.
        EdgesegError: the cell cannot be exported.
    """
    folder = plan.bundle_of(cell.name)
    exported = plan.reports_of(cell.name) / _EXPORTED
    try:
        if exported.exists() and exported.read_text("ascii") == open_bundle(folder).sha256:
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
        with write_whole(missed) as partial:
            partial.write_text(str(error), "utf-8")
        raise
    with write_whole(exported) as partial:
        partial.write_text(bundle.sha256, "ascii")
