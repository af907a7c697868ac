from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.calibration.choose import choose, describe, looks_like_noise
from edgeseg.demo import draw_scene
from edgeseg.demo.splits import DEMO_SPLITS


def descriptors(count: int, *, seed: int = 0, spread: float = 60) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [(128 + spread * random.standard_normal(432)).astype(np.float32) for _ in range(count)]


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_as_many_as_asked_for_or_all(there: int, wanted: int, seed: int) -> None:
    chosen = choose(descriptors(there), count=wanted, seed=seed)
    assert len(chosen.indices) == len(set(chosen.indices)) == min(there, wanted)
    assert list(chosen.indices) == sorted(chosen.indices)
    assert chosen.duplicates == 0
    assert chosen == choose(descriptors(there), count=wanted, seed=seed)


def test_near_duplicates_are_left_out() -> None:
    originals = descriptors(5)
    random = np.random.default_rng(1)
    copies = [d + random.standard_normal(d.shape).astype(np.float32) for d in originals * 6]
    chosen = choose([*originals, *copies], count=20)
    assert len(chosen.indices) == 5
    assert chosen.duplicates == 30
    assert {(index % 5) for index in chosen.indices} == set(range(5))


def test_the_choice_is_spread() -> None:
    """Ninety frames of one place and ten of ten others: the ten are all taken."""
    place = descriptors(1)[0]
    random = np.random.default_rng(2)
    same = [place + 4 * random.standard_normal(place.shape).astype(np.float32) for _ in range(90)]
    chosen = choose([*same, *descriptors(10, seed=3)], count=20)
    assert set(range(90, 100)) <= set(chosen.indices)


def test_the_seed_decides_where_it_starts() -> None:
    table = descriptors(50)
    assert len({choose(table, count=5, seed=seed).indices for seed in range(8)}) > 1


def test_a_descriptor_sees_content_and_not_size() -> None:
    first, again = (describe(draw_scene(1, 0, height=s, width=s).image) for s in (128, 256))
    other = describe(draw_scene(2, 500, height=128, width=128).image)
    assert np.sqrt(((first - again) ** 2).mean()) < 3
    assert np.sqrt(((first - other) ** 2).mean()) > 10


def test_noise_is_told_from_scenes() -> None:
    random = np.random.default_rng(0)
    for size in ((96, 128), (480, 640)):
        noise = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        assert looks_like_noise(noise)
    for seed, frame in DEMO_SPLITS["train"].frames(20):
        assert not looks_like_noise(draw_scene(seed, frame, height=120, width=160).image)
    assert not looks_like_noise(np.full((50, 50, 3), 7, np.uint8))
