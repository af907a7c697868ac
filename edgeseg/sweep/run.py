"""A whole sweep: cell after cell, then all latencies in turns, then the overview.

Nothing else of the sweep runs while something is timed: an export times its variants, so cells are
made one after another, and workers of a cluster only count images. The latencies that are compared
are taken at the end, all engines open and a frame for each in turn, so that a busy moment hits all.
The overview is written before that, too: what was measured by then is not lost.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edgeseg.bundle import open_bundle
from edgeseg.datasets import Dataset, open_dataset
from edgeseg.errors import DatasetError, EdgesegError, GateMissedError, ReportError, SourceError
from edgeseg.files import sha256_of
from edgeseg.labels import Labels
from edgeseg.packages import code_sha256, tools
from edgeseg.pixels import Bgr
from edgeseg.reports.report import Data, Report
from edgeseg.reports.writing import check_can_write
from edgeseg.runtime import timing
from edgeseg.runtime.backend import NOBODY, Watcher
from edgeseg.runtime.machine import this_machine
from edgeseg.sweep.cells import Cell, Plan, cells_of, hindrance
from edgeseg.sweep.making import ERROR, bundle_of, made, reports_of
from edgeseg.sweep.results import Row, Sweep
from edgeseg.sweep.writing import write_overview
from edgeseg.verification.cluster import connected
from edgeseg.verification.models import BundleModel
from edgeseg.verification.samples import Track, hash_of

__all__ = ["sweep"]

Milliseconds = npt.NDArray[np.float64]


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
    _check_cluster(plan)
    dataset = open_dataset(plan.data, split=plan.split)
    frame = _first_frame(dataset)
    data = _data(dataset)
    with _locked(plan.folder):
        return _swept(plan, dataset, data, frame, track=track, watcher=watcher, step=step)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder is one sweep's while it runs; the system lets go of it whatever happens.

    Raises:
        ReportError: it is another's, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ReportError(
            f"{folder} cannot be written: {error.strerror}; choose another --output"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReportError(
                f"another sweep is writing {folder}; wait for it, or choose another --output"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _swept(
    plan: Plan,
    dataset: Dataset,
    data: Data,
    frame: Bgr,
    *,
    track: Track,
    watcher: Watcher,
    step: Callable[[], None],
) -> Sweep:
    cells = cells_of(plan)
    rows = []
    for number, cell in enumerate(cells, 1):
        watcher.tell(f"cell {number} of {len(cells)}: {cell.name}")
        row = _row(plan, cell, (data, dataset.labels), track=track, watcher=watcher, step=step)
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
        rows=tuple(rows),
    )
    write_overview(plan.folder, found)
    timed = msgspec.structs.replace(found, rows=tuple(_timed(plan, rows, frame)))
    write_overview(plan.folder, timed)
    return timed


def _check_cluster(plan: Plan) -> None:
    """Before the first export, which may take long."""
    if plan.dask is not None:
        with connected(plan.dask, NOBODY):
            pass


def _row(
    plan: Plan,
    cell: Cell,
    measured_on: tuple[Data, Labels | None],
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
        request = _request(plan, cell, *measured_on)
        report = made(plan, cell, request, track=track, watcher=watcher, step=step)
    except GateMissedError as error:
        return msgspec.structs.replace(blank, status="missed", reason=str(error))
    except EdgesegError as error:
        return msgspec.structs.replace(blank, reason=str(error))
    except Exception as error:
        # An engine may raise anything, and hours of other cells must not go with it.
        told = reports_of(plan, cell.name) / ERROR
        reason = f"{type(error).__name__}: {error}"
        with suppress(OSError):  # a full disk may be what failed
            told.parent.mkdir(parents=True, exist_ok=True)
            told.write_text(traceback.format_exc(), "utf-8")
            reason += f"; the traceback is in {told}"
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


def _timed(plan: Plan, rows: Sequence[Row], frame: Bgr) -> list[Row]:
    """The rows with the latencies of those that have a bundle, whose engine can be opened."""
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        calls = {}
        for row in rows:
            if row.report is None:
                continue
            try:
                model = _opened(plan, row)
                stack.callback(model.close)
                model.segment(frame)
            except Exception as error:  # as above: of one engine, and not of the sweep
                failed[row.name] = f"not timed: {type(error).__name__}: {error}"
                continue
            calls[row.name] = partial(model.segment, frame)
        times = timing.alternate(calls)
    first = next(iter(times.values()), None)
    return [_with_latency(row, times.get(row.name), first, failed.get(row.name)) for row in rows]


def _opened(plan: Plan, row: Row) -> BundleModel:
    """With the variant that was measured."""
    bundle = open_bundle(bundle_of(plan, row.name))
    variant = next((v for v in bundle.manifest.variants if v.name == row.variant), None)
    return BundleModel(bundle, variant=variant, threads=plan.threads)


def _with_latency(
    row: Row, times: Milliseconds | None, first: Milliseconds | None, failure: str | None
) -> Row:
    if failure is not None:
        reason = "; ".join(filter(None, (row.reason, failure)))
        return msgspec.structs.replace(row, status="failed", reason=reason)
    if times is None or first is None:
        return row
    return msgspec.structs.replace(
        row,
        latency_ms=float(np.median(times)),
        latency_ratio=float(np.median(times / first)),
    )


def _first_frame(dataset: Dataset) -> Bgr:
    """To be timed: the same for all cells."""
    for item in dataset.items:
        with suppress(SourceError):
            return item.image()
    raise DatasetError(f"data set {dataset.origin} has no image that can be read")


def _data(dataset: Dataset) -> Data:
    digest = hashlib.sha256("".join(map(hash_of, dataset.items)).encode())
    return Data(name=dataset.title, split=dataset.split, sha256=digest.hexdigest())


def _request(plan: Plan, cell: Cell, data: Data, labels: Labels | None) -> Mapping[str, object]:
    """All that a cell's bundle and report depend on, as far as it can be told without making it.

    `labels` are the data set's. What a hub's id stands for is not looked up.
    """
    return {
        "weights": cell.weights,
        "weights_sha256": _weights_hash(cell.weights),
        "target": cell.target,
        "precision": cell.precision,
        "size": cell.size,
        "labels": plan.labels,
        "labels_sha256": None if plan.labels is None else _weights_hash(plan.labels),
        "data": msgspec.to_builtins(data),
        "classes": None if labels is None else [list(labels.classes), labels.ignore_index],
        "calibration": plan.calibration,
        "calibration_files": None if plan.calibration is None else _stamp(plan.calibration),
        "calibration_images": plan.calibration_images,
        "limits": msgspec.to_builtins(plan.limits),
        "budget_s": plan.budget_s,
        "threads": plan.threads,
        "tools": tools(),
        "code_sha256": code_sha256(),
        "cpu": this_machine().cpu,
    }


def _stamp(source: str) -> str:
    """Of names, sizes and times of the files there: to read many images takes long."""
    path = Path(source)
    files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []
    stats = ((one, one.stat()) for one in files if one.is_file())
    lines = (f"{one} {stat.st_size} {stat.st_mtime_ns}" for one, stat in stats)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _weights_hash(source: str) -> str | None:
    """Of a file, or of those of a folder; None of a name, as a hub's id, which is no file here."""
    path = Path(source)
    if path.is_file():
        return sha256_of(path)
    if not path.is_dir():
        return None
    hashes = (f"{one.name} {sha256_of(one)}" for one in sorted(path.iterdir()) if one.is_file())
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
