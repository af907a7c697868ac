"""The counts of images are kept for the classes that occur, and are the same as those of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.accuracy import tally as tally_module
from edgeseg.accuracy.tally import Tally, collect_tally, make_image_tally, tally_image

if TYPE_CHECKING:
    import pytest

CLASSES = 7


def draw_confusions(seed: int, images: int) -> np.ndarray:
    """Confusions of images that show few of the classes, and some none."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 1000, (images, CLASSES, CLASSES))
    return counts * (random.random(counts.shape) < 0.08)


def collect(counts: np.ndarray) -> Tally:
    return collect_tally([tally_image(image) for image in counts], classes=CLASSES)


def spread_all(counted: Tally) -> np.ndarray:
    return np.concatenate([block for _, block in counted.iterate_blocks()], axis=1)


def count_all(counts: np.ndarray) -> np.ndarray:
    """Every class of every image: hits, labelled, predicted."""
    return np.stack([np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2), counts.sum(axis=1)])


@given(st.integers(0, 99), st.integers(1, 9))
def test_no_count_is_lost(seed: int, images: int) -> None:
    counts = draw_confusions(seed, images)
    np.testing.assert_array_equal(spread_all(collect(counts)), count_all(counts))
    np.testing.assert_array_equal(collect(counts).shown, (counts.sum(axis=2) > 0).sum(axis=0))


@given(st.integers(0, 99), st.integers(1, 9))
def test_images_and_classes_are_selected(seed: int, images: int) -> None:
    counts = draw_confusions(seed, images)
    random = np.random.default_rng(seed)
    kept = random.random(images) < 0.5
    classes = random.permutation(CLASSES)[:4].tolist()
    if not kept.any():
        kept[0] = True
    found = collect(counts).select(kept, classes)
    np.testing.assert_array_equal(spread_all(found), count_all(counts)[:, kept][:, :, classes])


def test_blocks_cover_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = draw_confusions(1, 10)
    monkeypatch.setattr(tally_module, "_BLOCK", 3 * CLASSES)
    slices = [own for own, _ in collect(counts).iterate_blocks()]
    assert [(own.start, own.stop) for own in slices] == [(0, 3), (3, 6), (6, 9), (9, 10)]
    np.testing.assert_array_equal(spread_all(collect(counts)), count_all(counts))


def test_an_image_keeps_its_own_classes_only() -> None:
    counts = np.zeros((150, 150), np.int64)
    counts[3, 140] = 9
    assert tally_image(counts).tolist() == [[3, 140], [0, 0], [9, 0], [0, 9]]
    assert tally_image(counts).nbytes == 32


def test_counts_beyond_four_bytes_stay_whole() -> None:
    most = 1 << 40
    wide = make_image_tally([1], [most], [most], [most])
    small = make_image_tally([0], [1], [2], [3])
    found = spread_all(collect_tally([small, wide], classes=2))
    assert found.tolist() == [[[1, 0], [0, most]], [[2, 0], [0, most]], [[3, 0], [0, most]]]
