"""Times all cells of a sweep in turns, so that a busy moment slows all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from edgeseg.bundle.store import open_bundle
from edgeseg.datasets import Item
from edgeseg.pixels import Bgr
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime import timing
from edgeseg.sweep.plan import Plan
from edgeseg.sweep.results import Row
from edgeseg.text import to_encodable
from edgeseg.verification.subjects import BundleModel

__all__ = ["time_cells"]

Milliseconds = npt.NDArray[np.float64]


def time_cells(
    plan: Plan, rows: Sequence[Row], item: Item, *, progress: Progress = SILENT
) -> list[Row]:
    """Add latencies on an image to the rows that have a bundle; a failing engine's row says why."""
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        calls = {}
        for row in rows:
            if row.report is None:
                continue
            with _catch_failure(row.name, failures):
                model = _open(plan, row)
                stack.callback(model.close)
                frame = item.read_as(model.input.channels).image()
                model.segment(frame)
                calls[row.name] = partial(_segment, model, frame, row.name, failures)
        times = timing.alternate(calls, progress=progress)
    timed = {name: milliseconds for name, milliseconds in times.items() if name not in failures}
    first = next(iter(timed.values()), None)
    return [_with_latency(row, timed.get(row.name), first, failures.get(row.name)) for row in rows]


def _segment(model: BundleModel, frame: Bgr, name: str, failures: dict[str, str]) -> None:
    """Segment a frame, unless the engine has failed before."""
    if name not in failures:
        with _catch_failure(name, failures):
            model.segment(frame)


@contextmanager
def _catch_failure(name: str, failures: dict[str, str]) -> Iterator[None]:
    """Note why the engine of a cell failed: the failure of one does not end the sweep."""
    try:
        yield
    except Exception as error:  # engines raise errors of any kind
        failures[name] = to_encodable(f"not timed: {type(error).__name__}: {error}")


def _open(plan: Plan, row: Row) -> BundleModel:
    """Open the variant that was measured."""
    bundle = open_bundle(plan.bundle_of(row.name))
    variant = next((v for v in bundle.manifest.variants if v.name == row.variant), None)
    return BundleModel(bundle, variant=variant, threads=plan.verify.threads)


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
        speedup=float(np.median(first / times)),
    )
