"""Rounding to whole steps, held to its definition and to automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.recovery.program import Quantization
from edgeseg.recovery.quantizing import quantize


def way(lowest: float | list, highest: float | list) -> Quantization:
    return Quantization(
        name="q",
        source="x",
        scale="s",
        lowest=np.asarray(lowest, np.float32),
        highest=np.asarray(highest, np.float32),
        output="y",
    )


def spell(
    x: torch.Tensor, step: torch.Tensor, lowest: torch.Tensor, highest: torch.Tensor
) -> torch.Tensor:
    """The same in PyTorch spelled out: rounding passes gradients, the range does not."""
    scaled = torch.maximum(torch.minimum(x / step, highest), lowest)
    return (scaled + (scaled.round() - scaled).detach()) * step


@given(
    st.integers(0, 2**31), st.floats(1e-3, 10), st.integers(-255, 0), st.booleans(), st.booleans()
)
def test_values_and_gradients(
    seed: int, scale: float, lowest: int, learns: bool, by_channel: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    # No value lies halfway between steps or just at an end: there the definitions differ.
    whole = torch.randint(-300, 300, (2, 3, 4), generator=generator)
    parts = 0.45 * (2 * torch.rand((2, 3, 4), generator=generator) - 1)
    step = torch.full((1, 3, 1) if by_channel else (), scale)
    if by_channel:
        step = step * torch.tensor([1.0, 0.5, 2.0]).reshape(1, 3, 1)
    x = ((whole + parts) * step).requires_grad_()
    step.requires_grad_(learns)
    found = quantize(x, step, way(lowest, lowest + 255))
    ends = torch.tensor(float(lowest)), torch.tensor(float(lowest + 255))
    expected = spell(x, step, *ends)
    torch.testing.assert_close(found, expected)
    weights = torch.rand(x.shape, generator=generator)
    wanted = (x, step) if learns else (x,)
    inside = (whole > lowest) & (whole < lowest + 255)
    own = torch.autograd.grad((found * weights).sum(), wanted)
    spelled = torch.autograd.grad((expected * weights).sum(), wanted)
    torch.testing.assert_close(own[0] * inside, spelled[0] * inside)
    if learns:
        torch.testing.assert_close(own[1], spelled[1], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("learns", [False, True])
def test_channels_may_have_ranges_of_their_own(learns: bool) -> None:
    x = torch.tensor([[-9.0, -1.0, 9.0], [-9.0, -1.0, 9.0]])
    step = torch.ones((2, 1)).requires_grad_(learns)
    found = quantize(x, step, way([[0], [-2]], [[4], [2]]))
    assert found.tolist() == [[0, 0, 4], [-2, -1, 2]]
