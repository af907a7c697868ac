from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeseg.accuracy.metrics import confusion, iou, mean_iou, pixel_agreement
from edgeseg.errors import DatasetError

CLASSES, IGNORE = 4, 9
MASK = hnp.arrays(np.uint8, (5, 7), elements=st.sampled_from([0, 1, 2, 3, IGNORE]))
PREDICTION = hnp.arrays(np.uint8, (5, 7), elements=st.integers(0, CLASSES - 1))


@given(truth=MASK, predicted=PREDICTION)
def test_confusion_counts_each_labelled_pixel_once(
    truth: np.ndarray, predicted: np.ndarray
) -> None:
    counts = confusion(truth, predicted, classes=CLASSES, ignore_index=IGNORE)
    for t in range(CLASSES):
        for p in range(CLASSES):
            assert counts[t, p] == np.sum((truth == t) & (predicted == p))
    assert counts.sum() == np.sum(truth != IGNORE)


@given(truth=MASK, predicted=PREDICTION)
def test_iou_is_intersection_over_union(truth: np.ndarray, predicted: np.ndarray) -> None:
    values = iou(confusion(truth, predicted, classes=CLASSES, ignore_index=IGNORE))
    labelled = truth != IGNORE
    for c in range(CLASSES):
        union = np.sum(labelled & ((truth == c) | (predicted == c)))
        hits = np.sum(labelled & (truth == c) & (predicted == c))
        assert np.isnan(values[c]) if union == 0 else values[c] == pytest.approx(hits / union)


@given(first=st.tuples(MASK, PREDICTION), second=st.tuples(MASK, PREDICTION))
def test_confusions_add_up_over_images(first: tuple, second: tuple) -> None:
    both = confusion(
        np.concatenate([first[0], second[0]]),
        np.concatenate([first[1], second[1]]),
        classes=CLASSES,
        ignore_index=IGNORE,
    )
    one, two = (confusion(*x, classes=CLASSES, ignore_index=IGNORE) for x in (first, second))
    np.testing.assert_array_equal(one + two, both)


def test_mean_iou_is_over_classes_that_occur() -> None:
    truth, predicted = np.array([[0, 0, 1, 1]]), np.array([[0, 0, 1, 0]])
    counts = confusion(truth, predicted, classes=CLASSES, ignore_index=IGNORE)
    assert mean_iou(counts) == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)


def test_nothing_labelled_is_refused() -> None:
    with pytest.raises(DatasetError, match="no labelled pixel"):
        mean_iou(np.zeros((3, 3), np.int64))


def test_an_id_that_is_no_class_is_refused() -> None:
    with pytest.raises(DatasetError, match="class id 7 in the mask, but the model has 4"):
        confusion(np.full((2, 2), 7), np.zeros((2, 2), int), classes=4, ignore_index=255)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(DatasetError):
        confusion(np.zeros((2, 2)), np.zeros((2, 3)), classes=4, ignore_index=255)
    with pytest.raises(DatasetError):
        pixel_agreement(np.zeros((2, 2)), np.zeros((2, 3)))


def test_agreement_is_in_points() -> None:
    assert pixel_agreement(np.array([[1, 2, 3, 4]]), np.array([[1, 2, 3, 0]])) == 75.0
