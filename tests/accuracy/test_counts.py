from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeseg.accuracy.counts import Masks, compare
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels

LABELS = Labels(classes=("road", "car", "bird"), palette=((0, 0, 0),) * 3)
IGNORE = 255

MASK = hnp.arrays(np.uint8, (6, 5), elements=st.integers(0, 2))
TRUTH = hnp.arrays(np.uint8, (6, 5), elements=st.sampled_from([0, 1, 2, IGNORE]))


def miou_by_hand(truths: list, masks: list) -> float:
    """Sets of pixels, class by class of the truth: no histogram, no matrix."""
    values = []
    for index in range(3):
        true, predicted = set(), set()
        for image, (truth, mask) in enumerate(zip(truths, masks, strict=True)):
            for place, label in np.ndenumerate(truth):
                if label == IGNORE:
                    continue
                if label == index:
                    true.add((image, place))
                if mask[place] == index:
                    predicted.add((image, place))
        if true:
            values.append(len(true & predicted) / len(true | predicted))
    return 100 * sum(values) / len(values)


@given(st.lists(st.tuples(TRUTH, MASK, MASK), min_size=1, max_size=4))
def test_accuracy_equals_counting_pixels_one_by_one(images: list) -> None:
    truths, references, candidates = (list(column) for column in zip(*images, strict=True))
    if all((truth == IGNORE).all() for truth in truths):
        with pytest.raises(DatasetError, match="no labelled pixel"):
            compare((Masks(*image) for image in images), LABELS, ignore_index=IGNORE)
        return
    found = compare((Masks(*image) for image in images), LABELS, ignore_index=IGNORE)
    assert found.images == len(images)
    assert found.reference_miou == pytest.approx(miou_by_hand(truths, references))
    assert found.miou == pytest.approx(miou_by_hand(truths, candidates))
    assert found.drop == pytest.approx(found.reference_miou - found.miou)
    same = [r == c for r, c in zip(references, candidates, strict=True)]
    assert found.pixel_agreement == pytest.approx(100 * np.mean(same))
    assert found.drop_low <= found.drop_high


@given(st.lists(st.tuples(MASK, MASK), min_size=1, max_size=4))
def test_without_truth_only_agreement_is_known(images: list) -> None:
    found = compare((Masks(None, r, c) for r, c in images), LABELS, ignore_index=IGNORE)
    assert found.miou is found.drop is found.drop_low is found.worst_class is None
    references, candidates = (list(column) for column in zip(*images, strict=True))
    assert found.agreement_iou == pytest.approx(miou_by_hand(references, candidates))


def test_agreement_counts_pixels_whose_truth_is_ignored() -> None:
    truth = np.array([[0, 0, IGNORE, IGNORE]], np.uint8)
    reference = np.array([[0, 0, 1, 1]], np.uint8)
    candidate = np.array([[0, 0, 1, 2]], np.uint8)
    found = compare([Masks(truth, reference, candidate)], LABELS, ignore_index=IGNORE)
    assert found.drop == 0
    assert found.pixel_agreement == 75


def test_a_rare_class_is_not_the_worst() -> None:
    """Birds are lost whole; cars lose a little."""

    def worst(images: int, birds_in: int, birds: int) -> str | None:
        masks = []
        for index in range(images):
            truth = np.zeros((100, 100), np.uint8)
            truth[:40] = 1
            if index < birds_in:
                truth[-1, :birds] = 2
            candidate = np.where(truth == 2, 0, truth).astype(np.uint8)
            candidate[0] = 0
            masks.append(Masks(truth, truth, candidate))
        return compare(masks, LABELS, ignore_index=IGNORE).worst_class

    assert worst(10, 10, 5) == "car"  # 0.05 % of the pixels
    assert worst(10, 4, 100) == "car"  # 0.4 %, in four images
    assert worst(10, 5, 100) == "bird"
    assert worst(4, 4, 100) is None  # four images say nothing about any class
