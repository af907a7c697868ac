"""Value ranges of activations, from statistics whose size does not depend on the image count.

The statistics of a tensor are its exact extremes and a histogram of a random sample. An estimator
turns them into the range that eight bits cover; values outside that range are clipped.
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
# Names the way samples are drawn. Statistics that were saved under another name cannot be used.
SAMPLING: Final = "one of each stratum"

# The share of outliers: one value in ten thousand on either side.
_PERCENTILE: Final = 1e-4
# Shares of the largest magnitude at which MSE and entropy try to clip. The smallest is a
# sixteenth, as in TensorRT's calibrator.
_SHARES: Final = tuple(np.geomspace(1 / 16, 1.0, 49).tolist())
# Values below 2 to this power count as zero.
_SMALLEST_EXPONENT: Final = -60


@dataclass(frozen=True, slots=True)
class Range:
    """The range that eight bits cover; `low <= 0 <= high`, so that zero (padding) is exact."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Statistics of one tensor.

    `counts` is a histogram over [-limit, limit) in `BINS` equal bins; limit is 2**k or 0.
    """

    low: float
    high: float
    limit: float
    counts: npt.NDArray[np.int64]


def make_statistics() -> Statistics:
    """Make the empty statistics, as they are before the first image."""
    return Statistics(low=0.0, high=0.0, limit=0.0, counts=np.zeros(BINS, np.int64))


def add_sample(
    statistics: Statistics, sample: npt.NDArray[np.float32], *, low: float, high: float
) -> Statistics:
    """Add one image's tensor to the statistics: a flat sample of its values, and its extremes.

    Raises:
        CalibrationError: an extreme is infinite or not a number.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise CalibrationError(
            "an activation is infinite or not a number; is the checkpoint whole?"
        )
    # The limit lies above every value, so no value falls beyond the last bin.
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
    """Choose where to sample a flat tensor of `size` values: everywhere, or at `SAMPLE` places.

    The places are ascending: one random place in each of `SAMPLE` equal strata (stratified
    sampling: W. G. Cochran, "Sampling Techniques", 3rd ed., 1977, chapter 5). They are the same
    every time. Taking every n-th value would be cheaper. But n and the length of an axis are
    often powers of two, and where they share a factor only some channels or columns are seen.
    """
    if size <= SAMPLE:
        return slice(None)
    within = np.random.default_rng(size).random(SAMPLE)
    # Strata have equal fractional lengths: whole ones would have two lengths, in a pattern.
    places = ((np.arange(SAMPLE) + within) * (size / SAMPLE)).astype(np.int64)
    places.setflags(write=False)  # all callers share this array
    return places


def _widen(statistics: Statistics, largest: float) -> Statistics:
    """Widen the histogram's range until it holds `largest`, by merging bins in pairs."""
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
    """Cover every value that was seen."""
    return Range(min(statistics.low, 0.0), max(statistics.high, 0.0))


def percentile(statistics: Statistics) -> Range:
    """Cover all but one value in ten thousand on either side."""
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
    """Clip at the magnitude whose quantization has the least mean squared error."""
    return _find_best(statistics, _compute_squared_error)


def entropy(statistics: Statistics) -> Range:
    """Clip at the magnitude whose quantized distribution is nearest to the true one.

    The distance is the Kullback-Leibler divergence, as in S. Migacz, "8-bit inference with
    TensorRT", GTC 2017; here ranges need not be symmetric.
    """
    return _find_best(statistics, _compute_divergence)


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


def _compute_squared_error(statistics: Statistics, candidate: Range) -> float:
    centers = _compute_centers(statistics)
    step = (candidate.high - candidate.low) / (LEVELS - 1)
    level = np.clip(np.round((centers - candidate.low) / step), 0, LEVELS - 1)
    error = candidate.low + level * step - centers
    return float((statistics.counts * error**2).sum())


def _compute_divergence(statistics: Statistics, candidate: Range) -> float:
    """Compute the divergence, in nats, of the clipped distribution from its 256-level form."""
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
