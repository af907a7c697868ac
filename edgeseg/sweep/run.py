"""A whole sweep: cell after cell, then all latencies in turns, then the overview.

Nothing else of the sweep runs while something is timed: an export times its variants, so cells are
made one after another, and workers of a cluster only count images. The latencies that are compared
are taken at the end, all engines open and a frame for each in turn, so that a busy moment hits all.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from edgeseg.bundle import open_bundle
from edgeseg.datasets import Dataset, open_dataset
from edgeseg.errors import DatasetError, EdgesegError, GateMissedError, SourceError
from edgeseg.files import sha256_of
from edgeseg.packages import tools
from edgeseg.pixels import Bgr
from edgeseg.reports.report import Data, Report
from edgeseg.reports.writing import check_can_write
from edgeseg.runtime import timing
from edgeseg.runtime.backend import Watcher
from edgeseg.runtime.machine import this_machine
from edgeseg.sweep.cells import Cell, Plan, cells_of, hindrance
from edgeseg.sweep.making import bundle_of, made, reports_of
from edgeseg.sweep.results import Row, Sweep
from edgeseg.sweep.writing import write_overview
from edgeseg.verification.models import BundleModel
from edgeseg.verification.samples import Track, hash_of

__all__ = ["sweep"]


def sweep(
    plan: Plan,
    *,
    track: Track = iter,
    watcher: Watcher,
    step: Callable[[], None] = lambda: None,
) -> Sweep:
    """Make every cell, keep what an earlier run made, and write the overview into the folder.

    Raises:
        ReportError: the folder cannot be written.
        EdgesegError: the data set cannot be read; what a single cell meets is told in its row.
    """
    check_can_write(plan.folder)
    dataset = open_dataset(plan.data, split=plan.split)
    frame = _first_frame(dataset)
    data = _data(dataset)
    cells = cells_of(plan)
    rows = []
    for number, cell in enumerate(cells, 1):
        watcher.tell(f"cell {number} of {len(cells)}: {cell.name}")
        row = _row(plan, cell, data, track=track, watcher=watcher, step=step)
        if row.reason is not None:
            watcher.tell(f"{row.status}: {row.reason}")
        rows.append(row)
    found = Sweep(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        data=data,
        frame=frame.shape[:2],
        rounds=timing.ROUNDS,
        machine=this_machine(),
        tools=tools(),
        rows=tuple(_timed(plan, rows, frame)),
    )
    write_overview(plan.folder, found)
    return found


def _row(
    plan: Plan,
    cell: Cell,
    data: Data,
    *,
    track: Track,
    watcher: Watcher,
    step: Callable[[], None],
) -> Row:
    """A cell that fails does so by name, whatever it fails of, and the others go on."""
    blank = Row(
        name=cell.name,
        weights=cell.weights,
        target=cell.target,
        precision=cell.precision,
        status="failed",
        height=None if cell.size is None else cell.size[0],
        width=None if cell.size is None else cell.size[1],
    )
    hindered = hindrance(cell)
    if hindered is not None:
        return msgspec.structs.replace(blank, reason=hindered)
    try:
        request = _request(plan, cell, data)
        report = made(plan, cell, request, track=track, watcher=watcher, step=step)
    except GateMissedError as error:
        return msgspec.structs.replace(blank, status="missed", reason=str(error))
    except EdgesegError as error:
        return msgspec.structs.replace(blank, reason=str(error))
    except Exception as error:
        # An engine may raise anything, and hours of other cells must not go with it.
        told = reports_of(plan, cell.name) / "error.txt"
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_text(traceback.format_exc(), "utf-8")
        reason = f"{type(error).__name__}: {error}; the traceback is in {told}"
        return msgspec.structs.replace(blank, reason=reason)
    return _measured(blank, report)


def _measured(blank: Row, report: Report) -> Row:
    subject = report.candidate
    return msgspec.structs.replace(
        blank,
        status="passed" if report.passed else "missed",
        reason=None if report.passed else ", ".join(gate.name for gate in report.misses),
        model=subject.model,
        variant=subject.variant,
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


def _timed(plan: Plan, rows: list[Row], frame: Bgr) -> list[Row]:
    """The rows with the latencies of those that have a bundle."""
    with ExitStack() as stack:
        calls = {}
        for row in rows:
            if row.report is None:
                continue
            bundle = open_bundle(bundle_of(plan, row.name))
            variant = next(v for v in bundle.manifest.variants if v.name == row.variant)
            model = BundleModel(bundle, variant=variant, threads=plan.threads)
            stack.callback(model.close)
            calls[row.name] = partial(model.segment, frame)
        times = timing.alternate(calls)
    first = next(iter(times.values()), None)
    return [
        row
        if row.name not in times or first is None
        else msgspec.structs.replace(
            row,
            latency_ms=float(np.median(times[row.name])),
            latency_ratio=float(np.median(times[row.name] / first)),
        )
        for row in rows
    ]


def _first_frame(dataset: Dataset) -> Bgr:
    """To be timed: the same for all cells."""
    for item in dataset.items:
        with suppress(SourceError):
            return item.image()
    raise DatasetError(f"data set {dataset.origin} has no image that can be read")


def _data(dataset: Dataset) -> Data:
    digest = hashlib.sha256("".join(map(hash_of, dataset.items)).encode())
    return Data(name=dataset.title, split=dataset.split, sha256=digest.hexdigest())


def _request(plan: Plan, cell: Cell, data: Data) -> Mapping[str, object]:
    """All that a cell's bundle and report depend on, as far as it can be told without making it."""
    return {
        "weights": cell.weights,
        "weights_sha256": _weights_hash(cell.weights),
        "target": cell.target,
        "precision": cell.precision,
        "size": cell.size,
        "labels": plan.labels,
        "data": msgspec.to_builtins(data),
        "calibration": plan.calibration,
        "calibration_images": plan.calibration_images,
        "limits": msgspec.to_builtins(plan.limits),
        "budget_s": plan.budget_s,
        "threads": plan.threads,
        "tools": tools(),
        "cpu": this_machine().cpu,
    }


def _weights_hash(source: str) -> str | None:
    """Of the files of a checkpoint; None of a hub's id, whose files lie elsewhere."""
    path = Path(source)
    if path.is_file():
        return sha256_of(path)
    if not path.is_dir():
        return None
    hashes = (f"{one.name} {sha256_of(one)}" for one in sorted(path.iterdir()) if one.is_file())
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
