"""Images in other light: of the same shape, repeatable, and never the corruptions that judge."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.calibration import light
from edgeseg.pixels import fit_size, to_input
from edgeseg.spec import Aspect, InputSpec

if TYPE_CHECKING:
    from collections.abc import Callable


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4, 7]))
def test_shape_and_type_stay_and_equal_seeds_give_equal_images(
    seed: int, height: int, width: int, channels: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    before = image.copy()
    first = light.change_light(image, np.random.default_rng(seed))
    again = light.change_light(image, np.random.default_rng(seed))
    assert (first.shape, first.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(image, before)


SPEC = InputSpec(height=36, width=48)


def read_all(reads: list[Callable[[], np.ndarray]]) -> list[np.ndarray]:
    return [read() for read in reads]


@given(st.integers(0, 15))
def test_of_every_two_images_one_is_lit_the_same_way_at_each_reading(count: int) -> None:
    random = np.random.default_rng(7)
    images = [random.integers(0, 256, (36, 48, 3), np.uint8) for _ in range(count)]
    lit = light.light_every_other([lambda one=one: one for one in images], SPEC)
    first, again = read_all(lit), read_all(lit)
    assert len(lit) == count
    same = []
    for image, one, two in zip(images, first, again, strict=True):
        assert (one.shape, one.dtype) == ((1, 36, 48, 3), np.uint8)
        np.testing.assert_array_equal(one, two)
        same.append(np.array_equal(one[0], image))
    pairs = [same[2 * pair : 2 * pair + 2] for pair in range(count // 2)]
    assert all(sum(pair) == 1 for pair in pairs)
    assert count < 15 or {tuple(pair) for pair in pairs} == {(True, False), (False, True)}


def test_few_images_show_low_contrast_and_a_dozen_every_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds: list[int] = []
    change = light._change

    def watch(image: np.ndarray, kind: int, random: np.random.Generator) -> np.ndarray:
        kinds.append(kind)
        return change(image, kind, random)

    monkeypatch.setattr(light, "_change", watch)
    image = np.random.default_rng(3).integers(0, 256, (36, 48, 3), np.uint8)
    read_all(light.light_every_other([lambda: image] * 12, SPEC))
    assert [light._CHANGES[kind].__name__ for kind in kinds] == [
        "_fade", "_light", "_fog", "_fade", "_make_noise", "_blur"
    ]  # fmt: skip
    few = read_all(light.light_every_other([lambda: image] * 2, SPEC))
    assert min(float(frame.std()) for frame in few) < 0.9 * image.std()


@pytest.mark.parametrize("size", [(36, 30), (18, 48)])
def test_what_pads_an_image_stays_as_it_is(size: tuple[int, int]) -> None:
    spec = InputSpec(height=36, width=48, aspect=Aspect.KEEP)
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    plain = to_input(image, spec)
    height, width = fit_size(*size, spec)
    for frame in read_all(light.light_every_other([lambda: image] * 12, spec)):
        assert np.array_equal(frame[:, height:], plain[:, height:])
        assert np.array_equal(frame[:, :, width:], plain[:, :, width:])
    assert (height, width) != (36, 48)


@given(st.sampled_from([1, 2, 4, 7]), st.integers(0, 2**31))
def test_images_that_are_not_in_color_stay_as_they_are(channels: int, seed: int) -> None:
    spec = InputSpec(height=36, width=48, mean=(0.5,) * channels, std=(0.5,) * channels)
    image = np.random.default_rng(3).integers(0, 256, (36, 48, channels), np.uint8)
    for frame in read_all(light.light_every_other([lambda: image] * 4, spec)):
        np.testing.assert_array_equal(frame[0], image)
    made = light.change_light(image, np.random.default_rng(seed))
    np.testing.assert_array_equal(made, image)


def test_the_lights_differ_and_low_contrast_is_among_them() -> None:
    image = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)
    made = [light.change_light(image, np.random.default_rng(seed)) for seed in range(60)]
    assert len({one.tobytes() for one in made}) > 50
    spreads = [float(one.std()) for one in made]
    assert min(spreads) < 0.3 * image.std()
    assert sum(spread < 0.8 * image.std() for spread in spreads) > 15


def test_what_judges_is_not_what_calibrates() -> None:
    imported = (
        "import sys; import edgeseg.calibration.light; print('edgeseg.corruptions' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", imported], capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"
