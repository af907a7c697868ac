"""What enters a histogram is a fair sample, however the tensor's size divides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import add_tensor

from edgeseg.calibration.ranges import ESTIMATORS, Range, make_statistics

# Tokens (positions, channels) and images (channels, height, width) of SegFormer's at 512x512,
# 1024x1024 (all powers of two), 512x1024 and 360x480.
SHAPES = (
    (16384, 32),
    (4096, 64),
    (65536, 32),
    (16384, 64),
    (32768, 32),
    (10800, 32),
    (256, 128, 128),
    (256, 256, 256),
    (128, 128, 128),
    (8192, 320),
    (1, 16384, 256),
)


def positions_seen(shape: tuple[int, ...], axis: int) -> np.ndarray:
    """How often each position of an axis enters the histogram, in a tensor that holds just these.

    Through the public statistics: position p is the value p + 1, and of 8192 bins each is its own.
    """
    length = shape[axis]
    along = np.arange(1, length + 1, dtype=np.float32)
    values = np.broadcast_to(
        along.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape
    )
    found = add_tensor(make_statistics(), np.ascontiguousarray(values))
    bins = len(found.counts)
    places = ((along + found.limit) * bins / (2 * found.limit)).astype(int)
    return found.counts[places]


def check_fair(shape: tuple[int, ...]) -> None:
    for axis, length in enumerate(shape):
        if length > 2048:
            continue  # more positions than bins tell apart
        counts = positions_seen(shape, axis)
        expected = counts.sum() / length
        # Independent draws would stay within six standard deviations; strata do better.
        assert np.abs(counts - expected).max() <= 6 * math.sqrt(expected) + 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_channel_and_column_of_a_segformer_is_seen_alike(shape: tuple[int, ...]) -> None:
    check_fair(shape)


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.sampled_from([1, 2, 3, 16, 32, 45, 64, 100, 128, 256, 320]), min_size=3, max_size=4)
)
def test_every_position_of_any_axis_is_seen_alike(lengths: list[int]) -> None:
    if math.prod(lengths) <= 1 << 21:
        check_fair(tuple(lengths))


@pytest.mark.parametrize("channel", [0, 5])
@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_one_quiet_channel_does_not_clip_the_others(name: str, channel: int) -> None:
    """The case that was wrong: at 1024x1024 one of 32 channels was all that a range knew."""
    values = np.random.default_rng(0).uniform(-10, 10, (65536, 32)).astype(np.float32)
    values[:, channel] /= 10
    covered = ESTIMATORS[name](add_tensor(make_statistics(), values))
    assert covered.low < -9.9
    assert covered.high > 9.9


def test_a_range_is_that_of_the_same_values_in_another_order() -> None:
    """Scales differ from channel to channel, as they do behind a LayerNorm."""
    random = np.random.default_rng(1)
    straight = turned = mixed = make_statistics()
    for _ in range(8):
        values = random.standard_normal((16384, 32)) * np.geomspace(0.3, 3, 32)
        values = values.astype(np.float32)
        straight = add_tensor(straight, values)
        turned = add_tensor(turned, np.ascontiguousarray(values.T))
        mixed = add_tensor(mixed, random.permutation(values.reshape(-1)))
    for estimate in ESTIMATORS.values():
        assert near(estimate(straight), estimate(mixed))
        assert near(estimate(turned), estimate(mixed))


def near(one: Range, other: Range) -> bool:
    """Tails of one sample scatter by a tenth; the channels that were seen alone gave 0.6."""
    return one.low == pytest.approx(other.low, rel=0.25) and one.high == pytest.approx(
        other.high, rel=0.25
    )
