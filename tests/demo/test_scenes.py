from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.demo import draw_scene
from edgeseg.demo.splits import DEMO_SPLITS, LIVE_SEED
from edgeseg.demo.sprites import CamVid
from edgeseg.labels import get_known_labels

SEEDS = st.integers(0, 6_000_000)


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(0, 5000), st.integers(64, 200), st.integers(64, 200))
def test_any_frame_of_any_drive_at_any_size(seed: int, frame: int, height: int, width: int) -> None:
    drawn = draw_scene(seed, frame, height=height, width=width)
    assert (drawn.image.shape, drawn.image.dtype) == ((height, width, 3), np.uint8)
    assert (drawn.mask.shape, drawn.mask.dtype) == ((height, width), np.uint8)
    assert drawn.mask.max() < 11
    assert drawn.image.std() > 5
    again = draw_scene(seed, frame, height=height, width=width)
    np.testing.assert_array_equal(drawn.image, again.image)
    np.testing.assert_array_equal(drawn.mask, again.mask)


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(0, 2000))
def test_the_same_place_at_another_size(seed: int, frame: int) -> None:
    """Only outlines move, by less than a pixel."""
    fine = draw_scene(seed, frame, height=240, width=240).mask[1::2, 1::2]
    coarse = draw_scene(seed, frame, height=120, width=120).mask
    assert np.mean(fine == coarse) > 0.93


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(0, 2000))
def test_a_drive_is_smooth_and_goes_on(seed: int, frame: int) -> None:
    """Now and then a car that passes close by leaves the picture from one frame to the next."""
    drive = [draw_scene(seed, frame + step, height=120, width=160).mask for step in range(6)]
    kept = [float(np.mean(now == then)) for now, then in itertools.pairwise(drive)]
    later = draw_scene(seed, frame + 200, height=120, width=160).mask
    assert np.median(kept) > 0.8
    assert np.median(kept) > np.mean(drive[0] == later)
    assert max(kept) < 1


def test_every_class_occurs_in_every_split() -> None:
    for split in DEMO_SPLITS.values():
        counts = np.zeros(11, np.int64)
        for seed, frame in split.frames(20):
            mask = draw_scene(seed, frame, height=128, width=128).mask
            counts += np.bincount(mask.ravel(), minlength=11)
        assert (counts > 0).all()


def test_the_drawings_ids_are_camvids() -> None:
    names = [name.casefold() for name in get_known_labels("camvid").classes]
    for ours, theirs in (("SKY", "sky"), ("ROAD", "road"), ("CAR", "car"), ("POLE", "pole")):
        assert names[getattr(CamVid, ours)] == theirs
    assert CamVid.BICYCLIST == 10


def test_no_drive_is_in_two_splits() -> None:
    drives = {name: {seed for seed, _ in split.frames()} for name, split in DEMO_SPLITS.items()}
    for (first, ours), (second, theirs) in itertools.combinations(drives.items(), 2):
        assert not ours & theirs, (first, second)
    assert all(LIVE_SEED not in seeds for seeds in drives.values())
    assert all(len(drives[name]) == split.size for name, split in DEMO_SPLITS.items())


def test_light_and_weather_differ_between_drives() -> None:
    means = [draw_scene(seed, 0, height=96, width=96).image.mean() for seed in range(24)]
    assert max(means) - min(means) > 50


def test_what_is_near_hides_what_is_far() -> None:
    """Sky never stands below the horizon, and road reaches the lower edge."""
    for seed in range(12):
        mask = draw_scene(seed, 0, height=120, width=160).mask
        assert not (mask[-20:] == CamVid.SKY).any()
        assert (mask[-1] == CamVid.ROAD).any() or (mask[-1] == CamVid.CAR).any()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_is_in_the_image_and_not_in_the_mask(seed: int) -> None:
    """Two frames share no noise: the sky, which hardly moves, still differs."""
    first, second = (draw_scene(seed, frame, height=120, width=160) for frame in (0, 1))
    sky = (first.mask == CamVid.SKY) & (second.mask == CamVid.SKY)
    change = first.image[sky].astype(int) - second.image[sky]
    assert 0.5 < change.std() < 15
