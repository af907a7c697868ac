"""Images in other light: of the same shape, repeatable, and never the corruptions that judge."""

from __future__ import annotations

import inspect
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from typed_graphs import frame

from edgeseg.recovery import weather
from edgeseg.recovery.example import Example


@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(2, 40), st.sampled_from([1, 3, 4, 7]))
def test_shape_and_type_stay_and_equal_seeds_give_equal_images(
    seed: int, height: int, width: int, channels: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (1, height, width, channels), np.uint8)
    before = image.copy()
    first = weather.disturb(Example(image), np.random.default_rng(seed)).frame
    again = weather.disturb(Example(image), np.random.default_rng(seed)).frame
    assert (first.shape, first.dtype) == (image.shape, np.uint8)
    assert first.flags.c_contiguous
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(image, before)


def test_images_differ_from_each_other_and_stay_images() -> None:
    image = frame(3)
    made = [
        weather.disturb(Example(image), np.random.default_rng(seed)).frame for seed in range(60)
    ]
    assert len({one.tobytes() for one in made}) == 60
    spreads = [float(one.std()) for one in made]
    assert min(spreads) < 0.5 * image.std()  # some have little contrast
    assert min(spreads) > 1  # none is empty


@given(st.integers(0, 2**31), st.integers(8, 60), st.integers(8, 60))
def test_the_ground_truth_follows_its_image(seed: int, height: int, width: int) -> None:
    """What is dark is one class, and what is bright the other: so it stays, but for the border."""
    ids = np.zeros((height, width), np.uint8)
    ids[height // 3 :, : width // 2] = 1
    shown = np.repeat((255 * ids)[None, :, :, None], 3, axis=3)
    with patch.object(weather, "_SHARE", 0.0):
        made = weather.disturb(Example(shown, ids), np.random.default_rng(seed))
    assert made.truth is not None
    assert (made.truth.shape, made.truth.dtype) == (ids.shape, np.uint8)
    clear = np.abs(made.frame[0, :, :, 0].astype(int) - 128) > 90
    np.testing.assert_array_equal(made.truth[clear], made.frame[0, :, :, 0][clear] > 128)
    assert clear.mean() > 0.3


def test_it_does_not_train_on_what_judges() -> None:
    assert "edgeseg.corruptions" not in inspect.getsource(weather)
