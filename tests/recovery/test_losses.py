"""What a training minimizes, against PyTorch's own functions."""

from __future__ import annotations

import torch
from torch.nn import functional

from edgeseg.recovery.losses import find_cross_entropy


def test_the_cross_entropy_is_that_of_pytorch() -> None:
    """Of the id at the middle of each logit; what is no class is not counted."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 5, 3, 4, generator=generator, requires_grad=True)
    truth = torch.randint(0, 7, (12, 16), generator=generator)  # 5 and 6 are no classes
    ids = truth[2::4, 2::4].where(truth[2::4, 2::4] < 5, torch.tensor(-100))
    wanted = functional.cross_entropy(logits, ids[None], ignore_index=-100)
    found = find_cross_entropy(logits, truth)
    torch.testing.assert_close(found, wanted)
    corners = truth[[0, 6, 11]][:, [0, 5, 10, 15]]  # the middle of 12 lies between 5 and 6
    ids = corners.where(corners < 5, torch.tensor(-100))
    wanted = functional.cross_entropy(logits, ids[None], ignore_index=-100)
    found = find_cross_entropy(logits, truth, align_corners=True)
    torch.testing.assert_close(found, wanted)
    alone = find_cross_entropy(logits, torch.full((12, 16), 6))
    assert alone == 0
    alone.backward()
