"""Two masks of one output: pixels that differ count, unless the two classes tie there."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.pixels import count_untied, to_mask
from edgeseg.spec import InputSpec, Upsampling

SIZE = (37, 53)


@pytest.mark.parametrize("upsampling", list(Upsampling))
def test_only_ties_are_forgiven(upsampling: Upsampling) -> None:
    spec = InputSpec(height=64, width=96, upsampling=upsampling)
    random = np.random.default_rng(1)
    logits = random.normal(size=(1, 4, 16, 24)).astype(np.float32)
    logits[:, 3] = logits[:, 1]  # the two tie everywhere, and 1 wins
    mask = to_mask(logits, height=SIZE[0], width=SIZE[1], upsampling=upsampling)
    tied = np.where(mask == 1, 3, mask).astype(np.uint8)
    assert (tied != mask).any()
    assert count_untied(logits, spec, mask, mask) == 0
    assert count_untied(logits, spec, mask, tied) == 0
    wrong = tied.copy()
    wrong[:5, :7] = (mask[:5, :7] == 0) * 2  # another class than the winner
    assert count_untied(logits, spec, mask, wrong) == 35
    wrong[0, 0] = 9  # no class
    assert count_untied(logits, spec, mask, wrong) == 35


def test_class_ids_never_tie() -> None:
    spec = InputSpec(height=64, width=96)
    ids = np.zeros((1, 64, 96), np.uint8)
    mask = np.zeros(SIZE, np.uint8)
    other = mask.copy()
    other[3, 4] = 1
    assert count_untied(ids, spec, mask, other) == 1
    assert count_untied(ids, spec, mask, other[:-1]) == mask.size
