"""Percentiles of durations in bounded memory, however long a run is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["Durations", "Percentiles"]

# From a hundredth of a millisecond to three hours, each bin 1 % wider than the one before.
_LOWEST_MS: Final = 0.01
_GROWTH: Final = math.log(1.01)
_BINS: Final = 2100


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Of a duration, in milliseconds."""

    p50: float
    p95: float
    p99: float


class Durations:
    """A histogram in logarithmic bins: a percentile is right to half a percent."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, milliseconds: float) -> None:
        """Count one."""
        above = max(milliseconds, _LOWEST_MS) / _LOWEST_MS
        self._counts[min(int(math.log(above) / _GROWTH), _BINS - 1)] += 1

    def percentile(self, percent: float) -> float:
        """Milliseconds that so many percent do not exceed; 0 where none was added."""
        reached = np.cumsum(self._counts)
        if not reached[-1]:
            return 0.0
        index = int(np.searchsorted(reached, max(1, math.ceil(percent / 100 * reached[-1]))))
        return _LOWEST_MS * math.exp((index + 0.5) * _GROWTH)

    @property
    def percentiles(self) -> Percentiles:
        """The three that are told everywhere."""
        p50, p95, p99 = map(self.percentile, (50, 95, 99))
        return Percentiles(p50=p50, p95=p95, p99=p99)
