"""Times calls in turns, so that other work on the machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from edgeseg.progress import SILENT, Progress, track

__all__ = ["SAME_SPEED", "alternate", "measure_since", "order_by_speed", "time_call"]

P = ParamSpec("P")
T = TypeVar("T")

ROUNDS: Final = 20
WARM_UP: Final = 3
# An engine's worker threads spin for some ms after a run, and would slow the next engine.
PAUSE_S: Final = 0.03
# Speeds that differ by less are equal: two measurements of one variant differ by as much.
SAME_SPEED: Final = 0.03


def time_call(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
    """Call a function; return its result, and the milliseconds that it took."""
    begun = time.perf_counter()
    result = call(*args, **kwargs)
    return result, measure_since(begun)


def measure_since(begun: float) -> float:
    """Measure the milliseconds since `begun`, a time of `time.perf_counter()`."""
    return 1e3 * (time.perf_counter() - begun)


def alternate(
    calls: Mapping[str, Callable[[], object]],
    *,
    progress: Progress = SILENT,
    is_clear: Callable[[Mapping[str, Sequence[float]]], bool] | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Time all calls in turns; give the milliseconds of each call in each round.

    Where `is_clear` says so of the times so far, no further round follows.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in track(progress, "timing", range(WARM_UP + ROUNDS), "round"):
        for name, call in calls.items():
            time.sleep(PAUSE_S)
            _, took_ms = time_call(call)
            if turn >= WARM_UP:
                times[name].append(took_ms)
        if is_clear is not None and turn >= WARM_UP and is_clear(times):
            break
    return {name: np.array(row) for name, row in times.items()}


def order_by_speed(
    items: Sequence[T], *, speed: Callable[[T], float], agreement: Callable[[T], float]
) -> list[T]:
    """Order by speed, the fastest first; among equal speeds, the best agreement comes first."""
    left = list(items)
    ranked: list[T] = []
    while left:
        fastest = max(map(speed, left))
        level = [item for item in left if speed(item) >= (1 - SAME_SPEED) * fastest]
        best = max(level, key=agreement)
        ranked.append(best)
        left.remove(best)
    return ranked
