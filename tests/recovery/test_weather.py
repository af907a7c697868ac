"""Images in other light: of the same shape, repeatable, and never the corruptions that judge."""

from __future__ import annotations

import inspect

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from typed_graphs import frame

from edgeseg.recovery import weather


@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(2, 40), st.sampled_from([1, 3, 4, 7]))
def test_shape_and_type_stay_and_equal_seeds_give_equal_images(
    seed: int, height: int, width: int, channels: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (1, height, width, channels), np.uint8)
    before = image.copy()
    first = weather.disturb(image, np.random.default_rng(seed))
    again = weather.disturb(image, np.random.default_rng(seed))
    assert (first.shape, first.dtype) == (image.shape, np.uint8)
    assert first.flags.c_contiguous
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(image, before)


def test_images_differ_from_each_other_and_stay_images() -> None:
    image = frame(3)
    made = [weather.disturb(image, np.random.default_rng(seed)) for seed in range(60)]
    assert len({one.tobytes() for one in made}) == 60
    spreads = [float(one.std()) for one in made]
    assert min(spreads) < 0.5 * image.std()  # some have little contrast
    assert min(spreads) > 1  # none is empty


def test_it_does_not_train_on_what_judges() -> None:
    assert "edgeseg.corruptions" not in inspect.getsource(weather)
