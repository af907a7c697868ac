"""Computes percentiles of durations, in memory that does not grow with the run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["Durations", "Percentiles"]

# Bins reach from 0.01 ms to three hours; each bin is 1 % wider than the one before.
_LOWEST_MS: Final = 0.01
_GROWTH: Final = math.log(1.01)
_BINS: Final = 2100


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Percentiles of a duration, in milliseconds."""

    p50: float
    p95: float
    p99: float


class Durations:
    """A histogram in logarithmic bins: a percentile has an error of at most half a percent."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, milliseconds: float) -> None:
        """Count one duration."""
        above = max(milliseconds, _LOWEST_MS) / _LOWEST_MS
        self._counts[min(int(math.log(above) / _GROWTH), _BINS - 1)] += 1

    def percentile(self, percent: float) -> float:
        """Find the milliseconds that `percent` of the durations do not exceed; 0 without any."""
        reached = np.cumsum(self._counts)
        if not reached[-1]:
            return 0.0
        index = int(np.searchsorted(reached, max(1, math.ceil(percent / 100 * reached[-1]))))
        return _LOWEST_MS * math.exp((index + 0.5) * _GROWTH)

    @property
    def percentiles(self) -> Percentiles:
        """The three percentiles that every report shows."""
        p50, p95, p99 = map(self.percentile, (50, 95, 99))
        return Percentiles(p50=p50, p95=p95, p99=p99)
