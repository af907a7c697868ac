"""Runs a whole sweep: cell after cell, then all latencies in turns, then the overview.

Nothing else of the sweep runs while something is timed. An export times its variants, so cells are
made one after another, and the workers of a cluster only count images. The latencies that the
overview compares are measured at the end: all engines are open and take a frame in turns, so that
a busy moment slows all of them. The overview is also written before that, so that no measurement is
lost.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone

import msgspec

from edgeseg.datasets import Dataset, Item, open_dataset
from edgeseg.deploy.defaults import check_calibration
from edgeseg.errors import DatasetError, EdgesegError, GateMissedError, NotJudgedError, SourceError
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import list_tools
from edgeseg.progress import SILENT, Progress, begin
from edgeseg.reports.report import Data, Report
from edgeseg.reports.writing import check_can_write
from edgeseg.runtime import timing
from edgeseg.spec import RGB
from edgeseg.sweep.cell import ERROR, make_cell
from edgeseg.sweep.folder import lock_folder
from edgeseg.sweep.identity import describe_data, list_dependencies
from edgeseg.sweep.overview import write_overview
from edgeseg.sweep.plan import Cell, Plan, explain_not_measurable, list_cells
from edgeseg.sweep.results import Row, Status, Sweep
from edgeseg.sweep.timing import time_cells
from edgeseg.text import to_encodable
from edgeseg.verification.cluster import connect_cluster

__all__ = ["sweep"]


def sweep(
    plan: Plan,
    *,
    progress: Progress = SILENT,
) -> Sweep:
    """Make every cell, keep what an earlier run made, and write the overview into the folder.

    A cell that fails does not end the sweep: its row holds the reason.

    Raises:
        ReportError: the folder cannot be written, or holds something else.
        BusyError: another process sweeps into the folder.
        DatasetError: the data set cannot be read, or holds no image that can.
        CalibrationError: there are no images to calibrate on.
        ClusterError: no Dask scheduler answers.
        MissingPackageError: jinja2 is not installed.
    """
    check_can_write(plan.folder)
    _check_cluster(plan)
    if plan.export.calibration is not None:
        check_calibration(plan.export.calibration)
    begin(progress, "listing the images")
    dataset = open_dataset(plan.data, split=plan.export.split, rules=plan.export.rules)
    first = _find_first_image(plan, dataset)
    data = describe_data(dataset, progress=progress)
    with lock_folder(plan.folder):
        return _sweep_cells(plan, dataset, data, first, progress=progress)


def _sweep_cells(
    plan: Plan,
    dataset: Dataset,
    data: Data,
    first: tuple[Item, tuple[int, int]],
    *,
    progress: Progress,
) -> Sweep:
    """Make the rows of all cells, write the overview, time the cells, and write it again."""
    item, size = first
    cells = list_cells(plan)
    rows = []
    for number, cell in enumerate(cells, 1):
        progress.say(f"cell {number} of {len(cells)}: {cell.name}")
        row = _make_row(plan, cell, (data, dataset), progress=progress)
        if row.reason is not None:
            progress.say(f"{row.status}: {row.reason}")
        rows.append(row)
    untimed = Sweep(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        data=data,
        frame=size,
        rounds=timing.ROUNDS,
        machine=describe_machine(),
        tools=list_tools(),
        rows=tuple(rows),
    )
    write_overview(plan.folder, untimed)
    timed_rows = time_cells(plan, rows, item, progress=progress)
    timed = msgspec.structs.replace(untimed, rows=tuple(timed_rows))
    write_overview(plan.folder, timed)
    return timed


def _check_cluster(plan: Plan) -> None:
    """Check that the cluster, if any, answers before the first export, which takes long."""
    if plan.verify.dask is not None:
        with connect_cluster(plan.verify.dask, SILENT):
            pass


def _make_row(
    plan: Plan,
    cell: Cell,
    measured_on: tuple[Data, Dataset],
    *,
    progress: Progress,
) -> Row:
    """Make a cell and its row; if the cell fails for any reason, the row holds the reason."""
    blank = Row(
        name=cell.name,
        weights=to_encodable(cell.weights),
        target=cell.target,
        precision=cell.precision,
        status="failed",
        height=None if cell.size is None else cell.size[0],
        width=None if cell.size is None else cell.size[1],
    )
    refusal = explain_not_measurable(cell)
    if refusal is not None:
        return _explain_row(blank, refusal)
    try:
        request = list_dependencies(plan, cell, *measured_on)
        report = make_cell(plan, cell, request, progress=progress)
    except NotJudgedError as error:
        return _explain_row(blank, str(error), status="not judged")
    except GateMissedError as error:
        return _explain_row(blank, str(error), status="missed")
    except EdgesegError as error:
        return _explain_row(blank, str(error))
    except MemoryError:
        return _explain_row(blank, "the cell needs more memory than there is")
    except Exception as error:
        # An engine may raise anything, and hours of other cells must not go with it.
        return _explain_row(blank, f"{type(error).__name__}: {error}{_keep_traceback(plan, cell)}")
    return _fill_row(blank, report)


def _explain_row(row: Row, reason: str, *, status: Status = "failed") -> Row:
    return msgspec.structs.replace(row, status=status, reason=to_encodable(reason))


def _keep_traceback(plan: Plan, cell: Cell) -> str:
    """Write the traceback of the error being handled, and say where it is."""
    path = plan.reports_of(cell.name) / ERROR
    with suppress(OSError):  # a full disk may be what failed
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), "utf-8", "backslashreplace")
        return f"; the traceback is in {path}"
    return ""


def _fill_row(blank: Row, report: Report) -> Row:
    """Fill a row with what the report of its cell says."""
    subject = report.candidate
    status: Status = "passed"
    if not report.passed:
        status = "missed" if report.misses else "not judged"
    reasons = [gate.name for gate in report.misses]
    reasons += [f"{one.name}: {one.told}" for one in report.unjudged]
    return msgspec.structs.replace(
        blank,
        status=status,
        reason=None if status == "passed" else ", ".join(reasons),
        model=subject.model,
        variant=subject.variant,
        form=subject.form,
        form_changes=subject.form_changes,
        macs=subject.macs,
        height=subject.height,
        width=subject.width,
        miou=report.miou,
        miou_low=report.miou_low,
        miou_high=report.miou_high,
        drop=report.drop,
        drop_low=report.drop_low,
        drop_high=report.drop_high,
        bytes=None if report.costs is None else report.costs.candidate.bytes,
        gates=report.gates,
        report=f"reports/{blank.name}/report.html",
    )


def _find_first_image(plan: Plan, dataset: Dataset) -> tuple[Item, tuple[int, int]]:
    """Find the first image that can be read, on which all cells are timed, and its size."""
    for channels in _list_channels(plan):
        for item in dataset.items:
            with suppress(SourceError, DatasetError):
                height, width = item.read_as(channels).image().shape[:2]
                return item, (height, width)
    raise DatasetError(
        f"data set {dataset.origin} has no image that can be read; check its files, or choose "
        f"another --data"
    )


def _list_channels(plan: Plan) -> Iterator[int]:
    """List how images may be read: in color, else in the channels of the first checkpoint."""
    yield RGB
    from edgeseg.export.checkpoint import read_checkpoint

    for cell in list_cells(plan):
        with suppress(EdgesegError):  # its own row will say what is wrong
            overrides = plan.export.overrides
            yield read_checkpoint(cell.weights, size=cell.size, overrides=overrides).input.channels
            return
