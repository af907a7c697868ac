"""Rounds values to a quantizer's steps, so that what is before it and the step itself can learn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgeseg.recovery.program import Quantization

__all__ = ["quantize"]


def quantize(x: Tensor, step: Tensor, way: Quantization) -> Tensor:
    """Round to whole steps in the range of a quantizer.

    Where the step does not learn, PyTorch's own operators do it in one pass.
    """
    learns = step.requires_grad and torch.is_grad_enabled()
    if learns or way.lowest.size != 1:
        ends = (torch.from_numpy(end).to(x.device) for end in (way.lowest, way.highest))
        made: Tensor = _Quantize.apply(x, step, *ends)  # type: ignore[no-untyped-call]  # torch's own is not annotated
        return made
    low, high = int(way.lowest.item()), int(way.highest.item())
    zeros = torch.zeros(step.numel(), dtype=torch.int32, device=x.device)
    if step.numel() == 1:
        return torch.fake_quantize_per_tensor_affine(x, step.reshape(()), zeros[0], low, high)
    axis = step.shape.index(step.numel())
    return torch.fake_quantize_per_channel_affine(x, step.flatten(), zeros, axis, low, high)


class _Quantize(torch.autograd.Function):
    """Round to whole steps in a range, and learn the step.

    Gradients are those of Esser et al. 2020 (Learned Step Size Quantization, arXiv:1902.08153): a
    value in the range passes its gradient on, and the step's is the rounding error, or the end of
    the range.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:  # noqa: ANN401  # torch has no type for it
        ctx.save_for_backward(x, step, lowest, highest)
        return (x / step).round_().clamp_(lowest, highest).mul_(step)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None]:  # noqa: ANN401  # as above
        x, step, lowest, highest = ctx.saved_tensors
        scaled = x / step
        inside = (scaled > lowest) & (scaled < highest)
        of_step = None
        if ctx.needs_input_grad[1]:
            error = scaled.round().clamp_(lowest, highest).sub_(scaled * inside)
            of_step = (gradient * error).sum_to_size(step.shape)
        return gradient * inside, of_step, None, None
