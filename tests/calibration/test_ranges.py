from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensors import add_tensor

from edgeseg.calibration.ranges import (
    BINS,
    ESTIMATORS,
    Range,
    Statistics,
    make_statistics,
)
from edgeseg.errors import CalibrationError

VALUES = hnp.arrays(
    np.float32, st.integers(1, 200), elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
)


def seen(*arrays: np.ndarray) -> Statistics:
    statistics = make_statistics()
    for values in arrays:
        statistics = add_tensor(statistics, values)
    return statistics


def error_of(values: np.ndarray, covered: Range) -> float:
    step = (covered.high - covered.low) / 255
    level = np.clip(np.round((values - covered.low) / step), 0, 255)
    return float(((covered.low + level * step - values) ** 2).mean())


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_statistics_hold_every_value(arrays: list[np.ndarray]) -> None:
    """However the range grew, the histogram is that of all values over the final range."""
    statistics = seen(*arrays)
    everything = np.concatenate(arrays)
    assert statistics.low == min(0, everything.min())
    assert statistics.high == max(0, everything.max())
    if statistics.limit == 0:
        assert not everything.any()
        return
    assert np.abs(everything).max() < statistics.limit
    # Values that came while all were zero are in no bin: they lie in every range.
    first = next(i for i, values in enumerate(arrays) if values.any())
    counted = np.concatenate(arrays[first:])
    expected, _ = np.histogram(counted, bins=BINS, range=(-statistics.limit, statistics.limit))
    assert statistics.counts.sum() == expected.sum() == counted.size
    # A value on an edge may fall on either side of it.
    assert np.abs(np.cumsum(statistics.counts) - np.cumsum(expected)).max() <= counted.size
    assert np.abs(np.cumsum(statistics.counts - expected)).sum() <= counted.size


@given(st.lists(VALUES, min_size=1, max_size=4))
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_range_holds_zero_and_nothing_beyond_what_was_seen(
    name: str, arrays: list[np.ndarray]
) -> None:
    statistics = seen(*arrays)
    covered = ESTIMATORS[name](statistics)
    assert statistics.low <= covered.low <= 0 <= covered.high <= statistics.high


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_percentile_is_numpys(seed: int, scale: float) -> None:
    values = (scale * np.random.default_rng(seed).standard_normal(60_000)).astype(np.float32)
    covered = ESTIMATORS["percentile"](seen(*np.split(values, 4)))
    low, high = np.percentile(values, [0.01, 99.99])
    width = 2 * seen(values).limit / BINS
    # The last few values are far apart: the neighbors in rank bound the difference.
    ranked = np.sort(values)
    assert ranked[4] - width <= covered.low <= ranked[8] + width
    assert ranked[-9] - width <= covered.high <= ranked[-5] + width
    assert covered.low == pytest.approx(low, abs=0.25 * scale)
    assert covered.high == pytest.approx(high, abs=0.25 * scale)


@pytest.mark.parametrize("name", ["percentile", "entropy"])
def test_one_outlier_does_not_rule(name: str) -> None:
    """Minimum and maximum spend the levels on one value; the others do not."""
    values = np.random.default_rng(0).standard_normal(50_000).astype(np.float32)
    values[0] = 200
    statistics = seen(values)
    assert ESTIMATORS["minmax"](statistics).high == 200
    covered = ESTIMATORS[name](statistics)
    assert 2 < covered.high < 100
    assert error_of(values[1:], covered) < 0.3 * error_of(values[1:], Range(-200, 200))


def test_mse_is_the_least_of_all_clippings() -> None:
    values = np.random.default_rng(1).laplace(size=50_000).astype(np.float32)
    statistics = seen(values)
    covered = ESTIMATORS["mse"](statistics)
    assert covered.high < statistics.high
    for limit in np.linspace(0.1, 1, 17) * statistics.high:
        other = Range(max(statistics.low, -limit), limit)
        assert error_of(values, covered) <= 1.02 * error_of(values, other)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(CalibrationError, match="infinite or not a number"):
        seen(np.array([1, value], np.float32))


def test_memory_does_not_grow_with_images() -> None:
    one = seen(np.ones(1000, np.float32))
    many = seen(*[np.full(1000, i, np.float32) for i in range(50)])
    assert one.counts.nbytes == many.counts.nbytes == 8 * BINS
