"""What a frame costs here: time, bytes, memory; candidate and reference timed in turns."""

from __future__ import annotations

from functools import partial

import numpy as np

from edgeseg.gates import Gate, Limits, at_most
from edgeseg.pixels import Bgr
from edgeseg.reports.measured import Cost, Costs
from edgeseg.runtime import timing
from edgeseg.verification.footprint import peak_memory_mb
from edgeseg.verification.models import BundleModel, Model

__all__ = ["judge_costs", "measure_costs"]


def measure_costs(candidate: Model, reference: Model | None, frame: Bgr) -> Costs:
    """Time whole frames, from pixels to mask; memory is a bundle's only.

    The ratio is the median of the rounds' ratios, so that a busy moment hits both alike.
    """
    models = {"candidate": candidate, **({} if reference is None else {"reference": reference})}
    times = timing.alternate({name: partial(m.segment, frame) for name, m in models.items()})
    height, width = frame.shape[:2]
    costs = {
        name: Cost(
            latency_ms=float(np.median(times[name])),
            bytes=model.bundle.bytes_of(model.variant) if isinstance(model, BundleModel) else None,
            memory_mb=(
                peak_memory_mb(model.bundle, model.variant, height=height, width=width)
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


def judge_costs(costs: Costs, limits: Limits) -> list[Gate]:
    """A gate for each limit on a cost."""
    gates = []
    candidate = costs.candidate
    if limits.max_latency_ratio is not None and costs.latency_ratio is not None:
        limit = limits.max_latency_ratio
        gates.append(
            at_most("latency ratio", costs.latency_ratio, limit, unit="times the reference's")
        )
    if limits.max_size_mb is not None and candidate.bytes is not None:
        gates.append(at_most("size", candidate.bytes / 1e6, limits.max_size_mb, unit="MB"))
    if limits.max_memory_mb is not None and candidate.memory_mb is not None:
        gates.append(at_most("peak memory", candidate.memory_mb, limits.max_memory_mb, unit="MB"))
    return gates
