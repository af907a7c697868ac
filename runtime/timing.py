"""Times engines in turns, so that whatever else the machine does slows all alike."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgeseg.runtime.backend import Backend

if TYPE_CHECKING:
    from edgeseg.pixels import Frame

__all__ = ["alternate"]

ROUNDS: Final = 20
WARM_UP: Final = 3
# Worker threads of one engine keep spinning for some ms after a run; the next would pay for it.
PAUSE_S: Final = 0.03


def alternate(backends: Mapping[str, Backend], frame: Frame) -> dict[str, npt.NDArray[np.float64]]:
    """Milliseconds of each engine in each round, all cores, the engine's work alone."""
    times: dict[str, list[float]] = {name: [] for name in backends}
    for turn in range(WARM_UP + ROUNDS):
        for name, backend in backends.items():
            time.sleep(PAUSE_S)
            begun = time.perf_counter()
            backend.infer(frame)
            if turn >= WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - begun))
    return {name: np.array(row) for name, row in times.items()}
