from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.accuracy.counts import Counts
from edgeseg.accuracy.metrics import chance_miou
from edgeseg.labels import parse_labels
from edgeseg.verification.doubts import find_doubts


def counted(matrix: np.ndarray) -> Counts:
    classes = [f"c{n}" for n in range(len(matrix))]
    found = Counts(parse_labels({"classes": classes}, origin="test"), ignore_index=255)
    found.candidate.add(matrix)
    found.images = 1
    return found


def said(matrix: np.ndarray) -> str:
    return "; ".join(find_doubts(counted(matrix), absent=()))


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=6), st.integers(1, 1000))
def test_guessing_is_at_chance_level(shares: list[int], pixels: int) -> None:
    """Predictions that do not depend on the truth, at any shares of either."""
    matrix = np.outer(shares, shares[::-1]) * pixels
    assert "at chance level" in said(matrix)
    hits, union = np.diag(matrix), matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    assert chance_miou(matrix) == pytest.approx(100 * np.mean(hits / union))


@given(st.lists(st.integers(100, 1000), min_size=3, max_size=6))
def test_a_good_model_raises_no_doubt(pixels: list[int]) -> None:
    assert said(np.diag(pixels) + 5) == ""


def test_classes_in_another_order_are_named() -> None:
    swapped = np.array([[10, 900], [800, 20]])
    assert "at chance level" in said(swapped)
    assert "in another order (c0 for c1, c1 for c0), it would be 9" in said(swapped)


def test_ids_that_are_off_by_one_have_the_remedy_for_their_side() -> None:
    right = np.zeros((6, 6), int)
    right[1:5, 1:5] = np.diag([900, 800, 700, 600]) + 5
    higher, lower = said(np.roll(right, 1, axis=0)), said(np.roll(right, -1, axis=0))
    assert "were one lower, it would be" in higher
    assert "; --reduce-labels reads them so, with 0 as no class" in higher
    assert "were one higher, it would be" in lower
    assert "; name the model's classes without the first in dataset.json" in lower
    assert "--reduce-labels" not in lower
