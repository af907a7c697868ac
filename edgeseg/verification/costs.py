"""Measures what a frame costs here: time, bytes and memory."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from edgeseg.accuracy.gates import Judged, apply_limit
from edgeseg.accuracy.limits import Limits
from edgeseg.pixels import Bgr
from edgeseg.progress import SILENT, Progress, begin
from edgeseg.reports.measured import Cost, Costs
from edgeseg.runtime import timing
from edgeseg.verification.footprint import measure_peak_mb
from edgeseg.verification.subjects import BundleModel, Model

__all__ = ["COST_LIMITS", "judge_costs", "measure_costs"]

COST_LIMITS: Final = frozenset({"max_latency_ratio", "max_size_mb", "max_memory_mb"})


def measure_costs(
    candidate: Model, reference: Model | None, frame: Bgr, *, progress: Progress = SILENT
) -> Costs:
    """Time whole frames, from pixels to mask; measure memory for bundles only.

    Candidate and reference are timed in turns, so that a busy moment slows both. The ratio is the
    median of the rounds' ratios.
    """
    models = {"candidate": candidate, **({} if reference is None else {"reference": reference})}
    calls = {name: partial(model.segment, frame) for name, model in models.items()}
    times = timing.alternate(calls, progress=progress)
    begin(progress, "measuring memory")
    height, width = frame.shape[:2]
    costs = {
        name: Cost(
            latency_ms=float(np.median(times[name])),
            bytes=model.bundle.bytes_of(model.variant) if isinstance(model, BundleModel) else None,
            memory_mb=(
                measure_peak_mb(model.bundle, model.variant, height=height, width=width)
                if isinstance(model, BundleModel)
                else None
            ),
        )
        for name, model in models.items()
    }
    both = reference is not None
    return Costs(
        frame=(height, width),
        rounds=len(times["candidate"]),
        candidate=costs["candidate"],
        reference=costs.get("reference"),
        latency_ratio=float(np.median(times["candidate"] / times["reference"])) if both else None,
    )


def judge_costs(costs: Costs, limits: Limits) -> Judged:
    """Make a gate for each limit on a cost that was measured."""
    candidate = costs.candidate
    size = None if candidate.bytes is None else candidate.bytes / 1e6
    known = (
        ("max_latency_ratio", costs.latency_ratio, limits.max_latency_ratio),
        ("max_size_mb", size, limits.max_size_mb),
        ("max_memory_mb", candidate.memory_mb, limits.max_memory_mb),
    )
    return Judged(
        gates=tuple(
            apply_limit(key, value, limit)
            for key, value, limit in known
            if value is not None and limit is not None
        )
    )
