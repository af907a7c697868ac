"""Times candidates in turns and compares them within each round.

This way a busy moment hits all alike. Reported are medians, and the median of the ratios of the
rounds with its 95 % bootstrap interval.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping

import numpy as np

WARM_UP_ROUNDS = 3
# Worker threads of one engine keep spinning for some ms after a run; the next would pay for it.
PAUSE_S = 0.05

Times = dict[str, "np.ndarray[tuple[int], np.dtype[np.float64]]"]


def alternate(candidates: Mapping[str, Callable[[], object]], *, rounds: int) -> Times:
    """Milliseconds of each candidate in each round."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(WARM_UP_ROUNDS + rounds):
        for name, call in candidates.items():
            time.sleep(PAUSE_S)
            begun = time.perf_counter()
            call()
            elapsed_ms = 1e3 * (time.perf_counter() - begun)
            if turn >= WARM_UP_ROUNDS:
                times[name].append(elapsed_ms)
    return {name: np.array(values) for name, values in times.items()}


def compare(times: Times, *, baseline: str, ours: str) -> dict[str, object]:
    """How many times faster `ours` is."""
    ratios = times[baseline] / times[ours]
    random = np.random.default_rng(0)
    resampled = np.median(random.choice(ratios, (10_000, len(ratios))), axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {
        "baseline": baseline,
        "ratio": round(float(np.median(ratios)), 3),
        "ratio_95": [round(float(low), 3), round(float(high), 3)],
        "rounds": len(ratios),
    }


def report(name: str, **values: object) -> None:
    """Print one JSON line."""
    print(json.dumps({"benchmark": name, "machine": platform.machine(), **values}), flush=True)


def compute_medians(times: Times) -> dict[str, float]:
    """Median milliseconds of each candidate."""
    return {name: round(float(np.median(values)), 2) for name, values in times.items()}
