"""The operators of SegFormer's graphs in PyTorch, each as a function of its attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from edgeseg.errors import ExportError

__all__ = [
    "Operator",
    "attend",
    "attend_by_heads",
    "convolve",
    "gelu",
    "join",
    "multiply_matrices",
    "normalize",
    "pad",
    "resize",
    "round_to_half",
    "slice_along",
]

Operator: TypeAlias = Callable[..., Tensor]


def convolve(
    *, strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int], groups: int
) -> Operator:
    """Make a 2-D convolution of (N, C, H, W) by (out, C / groups, kh, kw), with or without a bias.

    `pads` are top, left, bottom and right.

    Raises:
        ExportError: pads differ between opposite sides.
    """
    top, left, bottom, right = pads
    if (top, left) != (bottom, right):
        raise ExportError(f"a convolution with pads {list(pads)} cannot be trained")

    def compute(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if bias is not None:
            bias = bias.flatten()
        return functional.conv2d(
            x, weight, bias, tuple(strides), (top, left), tuple(dilations), groups
        )

    return compute


def pad(*, before: Sequence[int], after: Sequence[int]) -> Operator:
    """Make a padding with zeros, before and after the values along each axis."""
    # PyTorch wants the last axis first.
    ends = [end for pair in reversed(list(zip(before, after, strict=True))) for end in pair]
    return lambda x: functional.pad(x, ends)


def multiply_matrices(*, transpose_a: bool = False, transpose_b: bool = False) -> Operator:
    """Make a matrix product, over leading dimensions, with or without a bias."""

    def compute(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
        a = a.mT if transpose_a else a
        b = b.mT if transpose_b else b
        return a @ b if bias is None else a @ b + bias

    return compute


def normalize(*, axes: Sequence[int], epsilon: float) -> Operator:
    """Make a normalization to mean 0 and variance 1 over axes, with or without gain and shift."""

    def compute(x: Tensor, gain: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        shape = [x.shape[axis] for axis in axes]
        if [axis % x.dim() for axis in axes] != list(range(x.dim() - len(axes), x.dim())):
            raise ExportError(f"a normalization over axes {list(axes)} cannot be trained")
        return functional.layer_norm(x, shape, gain, shift, epsilon)

    return compute


def attend_by_heads(*, scale: float | None) -> Operator:
    """Make an attention of queries, keys and values, each (1, heads, L, d)."""

    def compute(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, scale=scale)

    return compute


def attend(*, heads: int, scale: float) -> Operator:
    """Make an attention of queries, keys and values, each (1, L, heads * d)."""
    by_heads = attend_by_heads(scale=scale)

    def compute(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        split = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (q, k, v))
        return by_heads(*split).transpose(1, 2).flatten(2)

    return compute


def resize(size: Sequence[int]) -> Operator:
    """Make a bilinear resize of (N, C, h, w) to a height and width, pixel centers at halves."""
    height, width = size

    def compute(x: Tensor) -> Tensor:
        return functional.interpolate(x, (height, width), mode="bilinear", align_corners=False)

    return compute


def slice_along(
    *, starts: Sequence[int], ends: Sequence[int], steps: Sequence[int], axes: Sequence[int]
) -> Operator:
    """Make a slice along axes."""
    ranges = {axis: slice(a, b, s) for axis, a, b, s in zip(axes, starts, ends, steps, strict=True)}

    def compute(x: Tensor) -> Tensor:
        places = {axis % x.dim(): one for axis, one in ranges.items()}
        return x[tuple(places.get(axis, slice(None)) for axis in range(x.dim()))]

    return compute


def round_to_half(x: Tensor) -> Tensor:
    """Round to what FP16 can hold; the gradient passes as if nothing was rounded."""
    return x + (x.to(torch.float16).to(x.dtype) - x).detach()


def gelu(x: Tensor) -> Tensor:
    """Compute the exact GELU, by the error function."""
    return functional.gelu(x)


def join(parts: Sequence[Tensor], axis: int) -> Tensor:
    """Concatenate along an axis."""
    return torch.cat(list(parts), axis)
