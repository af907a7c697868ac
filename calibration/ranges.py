"""Value ranges of activations, from statistics that grow with the tensors and not with the images.

Exact extremes, and a histogram of a random sample of each tensor. The estimators turn them into the
range that eight bits are to cover; what lies outside is clipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import CalibrationError

__all__ = [
    "ESTIMATORS",
    "SAMPLING",
    "Range",
    "Statistics",
    "add_sample",
    "make_statistics",
    "choose_sample_positions",
]

BINS: Final = 8192
LEVELS: Final = 256
# Values of one tensor of one image that enter its histogram.
SAMPLE: Final = 1 << 16
# The name of the way they are drawn: statistics that were kept under another name are of no use.
SAMPLING: Final = "one of each stratum"

# Outliers: one value in ten thousand on either side.
_PERCENTILE: Final = 1e-4
# Shares of the largest magnitude at which MSE and entropy try to clip; from a sixteenth on, as
# TensorRT's calibrator did.
_SHARES: Final = tuple(np.geomspace(1 / 16, 1.0, 49).tolist())
# Nothing below this limit is told from zero.
_SMALLEST_EXPONENT: Final = -60


@dataclass(frozen=True, slots=True)
class Range:
    """What eight bits cover, `low <= 0 <= high`: zero is always exact, as padding needs."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Of one tensor. `counts` are over [-limit, limit) in `BINS` equal bins; limit is 2**k or 0."""

    low: float
    high: float
    limit: float
    counts: npt.NDArray[np.int64]


def make_statistics() -> Statistics:
    """Before the first image."""
    return Statistics(low=0.0, high=0.0, limit=0.0, counts=np.zeros(BINS, np.int64))


def add_sample(
    statistics: Statistics, sample: npt.NDArray[np.float32], *, low: float, high: float
) -> Statistics:
    """Statistics that also know one more image's tensor: a flat sample of it, and its extremes.

    Raises:
        CalibrationError: an extreme is infinite or not a number.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise CalibrationError(
            "an activation is infinite or not a number; is the checkpoint whole?"
        )
    # A limit above every value, so that the last bin is open to none.
    grown = _widen(statistics, max(abs(low), abs(high)))
    counts = grown.counts
    if grown.limit > 0:
        scaled = sample + np.float32(grown.limit)
        scaled *= np.float32(BINS / (2 * grown.limit))
        bins = scaled.astype(np.int32)  # five times as fast as int64
        np.minimum(bins, BINS - 1, out=bins)
        counts = counts + np.bincount(bins, minlength=BINS)
    return replace(
        grown, low=min(statistics.low, low), high=max(statistics.high, high), counts=counts
    )


@lru_cache(maxsize=32)  # a network has about a dozen sizes of tensors
def choose_sample_positions(size: int) -> npt.NDArray[np.int64] | slice:
    """Where to look in a flat tensor of `size` values: all of it, or `SAMPLE` places, ascending.

    Equal strata, and one random place in each (stratified sampling: W. G. Cochran, "Sampling
    Techniques", 3rd ed., 1977, chapter 5), the same ones every time. Every n-th value would be
    cheaper, but where n and the length of an axis share a factor, and both are often powers of two,
    it sees some channels alone or some columns alone.
    """
    if size <= SAMPLE:
        return slice(None)
    within = np.random.default_rng(size).random(SAMPLE)
    # Strata of equal length, not of whole positions: those would be of two lengths, in a pattern.
    places = ((np.arange(SAMPLE) + within) * (size / SAMPLE)).astype(np.int64)
    places.setflags(write=False)  # every caller is given the same array
    return places


def _widen(statistics: Statistics, largest: float) -> Statistics:
    """The same counts over a range that holds `largest`: pairs of bins become one."""
    if largest <= 0 or largest < statistics.limit:
        return statistics
    if statistics.limit == 0:
        exponent = max(math.floor(math.log2(largest)) + 1, _SMALLEST_EXPONENT)
        return replace(statistics, limit=2.0**exponent)
    limit, counts = statistics.limit, statistics.counts
    while limit <= largest:
        limit *= 2
        merged = counts.reshape(-1, 2).sum(axis=1)
        counts = np.zeros(BINS, np.int64)
        counts[BINS // 4 : BINS - BINS // 4] = merged
    return replace(statistics, limit=limit, counts=counts)


def min_max(statistics: Statistics) -> Range:
    """Everything that was seen."""
    return Range(min(statistics.low, 0.0), max(statistics.high, 0.0))


def percentile(statistics: Statistics) -> Range:
    """All but one value in ten thousand on either side."""
    total = statistics.counts.sum()
    if total == 0:
        return min_max(statistics)
    below = np.cumsum(statistics.counts) / total
    width = 2 * statistics.limit / BINS
    first = int(np.searchsorted(below, _PERCENTILE, side="right"))
    last = int(np.searchsorted(below, 1 - _PERCENTILE, side="left"))
    low, high = -statistics.limit + first * width, -statistics.limit + (last + 1) * width
    return Range(min(0.0, max(low, statistics.low)), max(0.0, min(high, statistics.high)))


def mse(statistics: Statistics) -> Range:
    """The clipping at some magnitude whose quantization has the least mean squared error."""
    return _find_best(statistics, _squared_error)


def entropy(statistics: Statistics) -> Range:
    """The clipping at some magnitude whose quantized distribution is nearest to the true one.

    Nearest by Kullback-Leibler divergence, as in S. Migacz, "8-bit inference with TensorRT",
    GTC 2017; here over ranges that need not be symmetric.
    """
    return _find_best(statistics, _divergence)


ESTIMATORS: Final[Mapping[str, Callable[[Statistics], Range]]] = MappingProxyType(
    {"percentile": percentile, "minmax": min_max, "mse": mse, "entropy": entropy}
)


def _find_best(statistics: Statistics, loss: Callable[[Statistics, Range], float]) -> Range:
    whole = min_max(statistics)
    if statistics.counts.sum() == 0 or whole.high == whole.low:
        return whole
    largest = max(-whole.low, whole.high)
    limits = [share * largest for share in _SHARES]
    candidates = [Range(max(whole.low, -limit), min(whole.high, limit)) for limit in limits]
    return min(candidates, key=lambda candidate: loss(statistics, candidate))


def _compute_centers(statistics: Statistics) -> npt.NDArray[np.float64]:
    width = 2 * statistics.limit / BINS
    return (np.arange(BINS, dtype=np.float64) + 0.5) * width - statistics.limit


def _squared_error(statistics: Statistics, candidate: Range) -> float:
    centers = _compute_centers(statistics)
    step = (candidate.high - candidate.low) / (LEVELS - 1)
    level = np.clip(np.round((centers - candidate.low) / step), 0, LEVELS - 1)
    error = candidate.low + level * step - centers
    return float((statistics.counts * error**2).sum())


def _divergence(statistics: Statistics, candidate: Range) -> float:
    """Of the clipped distribution from the one that 256 levels can express, in nats."""
    centers = _compute_centers(statistics)
    inside = (centers >= candidate.low) & (centers <= candidate.high)
    if inside.sum() < 2:
        return float("inf")
    first, last = np.flatnonzero(inside)[[0, -1]]
    true = statistics.counts[first : last + 1].astype(np.float64)
    kept = true.copy()
    true[0] += statistics.counts[:first].sum()
    true[-1] += statistics.counts[last + 1 :].sum()
    groups = np.arange(len(true)) * LEVELS // len(true)
    filled = kept > 0
    mass = np.bincount(groups, kept, LEVELS)
    spread = np.bincount(groups, filled, LEVELS)
    model = np.where(filled, (mass / np.maximum(spread, 1))[groups], 0)
    p, q = true / true.sum(), model / max(model.sum(), 1)
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / np.maximum(q[seen], 1e-12))).sum())
