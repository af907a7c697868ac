"""Times the latencies to compare: all cells' engines are open and take a frame in turn."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from edgeseg.bundle.store import open_bundle
from edgeseg.pixels import Bgr
from edgeseg.runtime import timing
from edgeseg.sweep.plan import Plan
from edgeseg.sweep.results import Row
from edgeseg.verification.subjects import BundleModel

__all__ = ["time_cells"]

Milliseconds = npt.NDArray[np.float64]


def time_cells(plan: Plan, rows: Sequence[Row], frame: Bgr) -> list[Row]:
    """Add latencies to the rows that have a bundle whose engine can be opened."""
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        calls = {}
        for row in rows:
            if row.report is None:
                continue
            try:
                model = _open(plan, row)
                stack.callback(model.close)
                model.segment(frame)
            except Exception as error:  # one engine's failure does not end the sweep
                failed[row.name] = f"not timed: {type(error).__name__}: {error}"
                continue
            calls[row.name] = partial(model.segment, frame)
        times = timing.alternate(calls)
    first = next(iter(times.values()), None)
    return [_with_latency(row, times.get(row.name), first, failed.get(row.name)) for row in rows]


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
