from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.accuracy import bootstrap
from edgeseg.accuracy.bootstrap import estimate_losses, estimate_miou_interval
from edgeseg.accuracy.metrics import mean_iou
from edgeseg.accuracy.tally import Tally, collect_tally, tally_image

CLASSES = 11


def street(images: int, seed: int) -> np.ndarray:
    """Confusions of a model that is right in 60 to 90 % of the pixels, on hard and easy images."""
    random = np.random.default_rng(seed)
    size = random.integers(200, 4000, (images, CLASSES))
    right = np.clip(random.normal(0.75, 0.15, (images, 1)), 0.1, 0.95)
    counts = np.zeros((images, CLASSES, CLASSES), np.int64)
    for image in range(images):
        for true in range(CLASSES):
            chances = np.full(CLASSES, (1 - right[image, 0]) / (CLASSES - 1))
            chances[true] = right[image, 0]
            counts[image, true] = random.multinomial(size[image, true], chances)
    return counts


def moved(counts: np.ndarray, share: float, seed: int, *, spread: float) -> np.ndarray:
    """A like model: right pixels of class 0 become wrong, and everywhere some change by chance."""
    random = np.random.default_rng(seed)
    changed = counts.copy()
    for image in range(len(counts)):
        for true in range(CLASSES):
            right, wrong = changed[image, true, true], changed[image, true, (true + 1) % CLASSES]
            bound = min(right, wrong)  # the same both ways: chance alone loses nothing
            chance = np.clip(round(right * random.normal(0, spread)), -bound, bound)
            lost = min(right, chance + (int(right * share) if true == 0 else 0))
            changed[image, true, true] -= lost
            changed[image, true, (true + 1) % CLASSES] += lost
    return changed


def all_of(counts: np.ndarray) -> Tally:
    return collect_tally([tally_image(image) for image in counts], classes=counts.shape[1])


def lost_between(before: np.ndarray, after: np.ndarray) -> bootstrap.Losses:
    return estimate_losses(all_of(before), all_of(after), family=np.ones(len(before[0]), bool))


def test_noise_is_told_from_loss_and_a_loss_from_noise() -> None:
    """Of 60 pairs that differ by chance alone, few are called worse in any of eleven classes."""
    alarms = 0
    for seed in range(60):
        before = street(100, seed)
        found = lost_between(before, moved(before, 0, seed, spread=0.05))
        alarms += bool((found.class_intervals[:, 0] > 0).any())
    assert alarms <= 6  # 2.5 % are due, one side of 95 %; ten times that would be noise
    before = street(100, 1)
    found = lost_between(before, moved(before, 0.02, 1, spread=0.05))
    assert found.class_intervals[0, 0] > 0
    assert not (found.class_intervals[1:, 0] > 0.5).any()


def test_pairing_sees_what_each_mean_alone_would_hide() -> None:
    before = street(100, 2)
    after = moved(before, 0.05, 2, spread=0.02)
    found = lost_between(before, after)
    alone = estimate_miou_interval(all_of(before))
    assert 0 < found.miou_interval.low < found.miou < found.miou_interval.high
    assert alone.high - alone.low > 5 * (found.miou_interval.high - found.miou_interval.low)


def test_intervals_that_hold_together_are_wider_than_one_alone() -> None:
    before = street(60, 3)
    after = moved(before, 0, 3, spread=0.05)
    sides = all_of(before), all_of(after)
    one = np.arange(CLASSES) == 4
    alone = estimate_losses(*sides, family=one).class_intervals[4]
    together = estimate_losses(*sides, family=np.ones(CLASSES, bool)).class_intervals[4]
    assert together[0] < alone[0] < alone[1] < together[1]


def test_the_interval_narrows_with_images() -> None:
    def width(images: int) -> float:
        before = street(images, 4)
        found = lost_between(before, moved(before, 0.05, 4, spread=0.05)).miou_interval
        return found.high - found.low

    assert width(200) < 0.5 * width(10)


@given(st.integers(1, 12), st.integers(0, 9))
def test_a_model_loses_nothing_against_itself(images: int, seed: int) -> None:
    counts = street(images, seed)
    found = lost_between(counts, counts)
    assert found.miou == 0
    assert (found.miou_interval.low, found.miou_interval.high) == (0, 0)
    np.testing.assert_array_equal(found.class_intervals, 0)


def test_a_class_that_a_draw_misses_is_no_class_there() -> None:
    """A class in one of three images: draws without it have a mean over the other."""
    one = np.array([[100, 0, 0], [0, 100, 0], [0, 0, 0]])
    two = np.array([[100, 0, 0], [0, 0, 0], [0, 0, 0]])
    sides = all_of(np.stack([one, two, two]))
    found = estimate_losses(sides, sides, family=np.array([True, False, False]))
    assert (found.miou_interval.low, found.miou_interval.high) == (0, 0)
    assert np.isnan(found.classes[2])
    np.testing.assert_array_equal(found.class_intervals[:2], 0)
    assert estimate_miou_interval(sides) == bootstrap.Interval(100, 100)


def test_drawing_in_parts_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    before = street(40, 5)
    after = moved(before, 0.02, 5, spread=0.05)
    whole = lost_between(before, after)
    monkeypatch.setattr(bootstrap, "_CHUNK_WEIGHTS", 40 * 7)
    parts = lost_between(before, after)
    assert parts.miou_interval == whole.miou_interval
    np.testing.assert_array_equal(parts.class_intervals, whole.class_intervals)


def test_images_without_truth_change_nothing() -> None:
    """A draw of such images alone has no mIoU, and is none of zero."""
    before, after = street(1, 5), moved(street(1, 5), 0.1, 5, spread=0)
    blank = np.zeros((9, CLASSES, CLASSES), np.int64)
    found = lost_between(np.concatenate([before, blank]), np.concatenate([after, blank]))
    assert found.miou > 0
    assert found.miou_interval.low == found.miou_interval.high == pytest.approx(found.miou)
    alone = estimate_miou_interval(all_of(np.concatenate([before, blank])))
    assert alone.low == alone.high == pytest.approx(found.reference_miou)


def test_a_stray_pixel_is_no_class() -> None:
    """One side predicts, once, a class that the truth never has."""
    before = street(20, 6)
    before[:, 3] = 0
    before[:, :, 3] = 0
    after = before.copy()
    after[0, 0, 0] -= 1
    after[0, 0, 3] += 1
    found = lost_between(before, after)
    assert 0 < found.miou < 0.01
    assert 0 <= found.miou_interval.low <= found.miou_interval.high < 0.01
    total = mean_iou(before.sum(axis=0)) - mean_iou(after.sum(axis=0))
    assert total == pytest.approx(found.miou)
