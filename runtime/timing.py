"""Times calls in turns, so that whatever else the machine does slows all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["alternate"]

ROUNDS: Final = 20
WARM_UP: Final = 3
# Worker threads of one engine keep spinning for some ms after a run; the next would pay for it.
PAUSE_S: Final = 0.03


def alternate(calls: Mapping[str, Callable[[], object]]) -> dict[str, npt.NDArray[np.float64]]:
    """Milliseconds of each call in each round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + ROUNDS):
        for name, call in calls.items():
            time.sleep(PAUSE_S)
            begun = time.perf_counter()
            call()
            if turn >= WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - begun))
    return {name: np.array(row) for name, row in times.items()}
