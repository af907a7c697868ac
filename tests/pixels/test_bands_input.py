"""Each band of a frame becomes input as if it were alone, and as a color channel does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.errors import SpecError
from edgeseg.pixels import to_input
from edgeseg.spec import Aspect, InputSpec, Resize

SPEC = InputSpec(height=48, width=64)


def _alone(spec: InputSpec, band: int) -> InputSpec:
    return replace(spec, mean=spec.mean[band : band + 1], std=spec.std[band : band + 1])


@settings(max_examples=80, deadline=None)
@given(
    channels=st.integers(1, 7),
    frame=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    rule=st.sampled_from(Resize),
    aspect=st.sampled_from(Aspect),
    seed=st.integers(0, 1000),
)
def test_bands_are_resized_one_by_one(
    channels: int, frame: tuple[int, int], rule: Resize, aspect: Aspect, seed: int
) -> None:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (*frame, channels), np.uint8)
    mean, std = random.uniform(0.1, 0.9, (2, channels)).tolist()
    spec = replace(SPEC, resize=rule, aspect=aspect, mean=tuple(mean), std=tuple(std))
    whole = to_input(image, spec)
    assert whole.shape == (1, SPEC.height, SPEC.width, channels)
    # A color frame's channels are blue, green, red; its statistics red, green, blue.
    place = (2, 1, 0) if channels == 3 else range(channels)
    for band, own in enumerate(place):
        alone = to_input(image[:, :, band : band + 1], _alone(spec, own))
        np.testing.assert_array_equal(whole[..., band : band + 1], alone, strict=True)


@pytest.mark.parametrize("values", [(), (0.5, 0.5)])
def test_a_mean_without_its_std_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(SpecError, match="one mean and one std for each channel"):
        InputSpec(height=64, width=64, mean=values, std=values[:1])
