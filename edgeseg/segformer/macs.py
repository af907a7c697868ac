"""Counts parameters and multiply-adds of a SegFormer, by arithmetic alone.

The module needs no torch, so a device can answer `edgeseg inspect b0` too. Like the paper's table,
it counts convolutions, linear layers and the two attention products, but not resizing,
normalization, softmax and GELU. Tests compare both numbers with what the PyTorch modules hold and
execute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Final

from edgeseg.segformer.arch import HeadKind, ModelSpec
from edgeseg.segformer.form import EXACT, Form, HeadForm, halve
from edgeseg.spec import GRAY, RGB

__all__ = ["PAPER_GMACS", "Costs", "count_costs", "estimate_least_memory"]

# "Flops" of the paper's table 1 (ADE20K), which are multiply-adds: in G, with their input size.
PAPER_GMACS: Final[Mapping[str, tuple[float, int]]] = MappingProxyType(
    {
        "b0": (8.4, 512),
        "b1": (15.9, 512),
        "b2": (62.4, 512),
        "b3": (79.0, 512),
        "b4": (95.7, 512),
        "b5": (183.3, 640),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one forward pass of one image costs."""

    params: int
    """Learned values: weights and biases, without BatchNorm's running statistics."""

    macs: int
    """Multiply-adds of the graph that edgeseg deploys, in the form that was asked for."""

    macs_original: int
    """Multiply-adds of the network as published."""


def count_costs(spec: ModelSpec, *, height: int, width: int, form: Form = EXACT) -> Costs:
    """Count a model at one input size, in pixels, and in one form."""
    sizes = spec.encoder.compute_sizes(height, width)
    head_sizes = sizes
    if form.head is HeadForm.STRIDE_8:
        head_sizes = (halve(sizes[0]), *sizes[1:])
    encoder_params = sum(_count_stage_params(spec, stage) for stage in range(4))
    original, deployed = (
        sum(_count_stage_macs(spec, stage, sizes[stage], one) for stage in range(4))
        for one in (EXACT, form)
    )
    return Costs(
        params=encoder_params + _count_head_params(spec),
        macs=deployed
        + _count_gray_macs(spec, sizes[0])
        + _count_deployed_head_macs(spec, head_sizes),
        macs_original=original + _count_original_head_macs(spec, sizes),
    )


def estimate_least_memory(spec: ModelSpec, *, height: int, width: int) -> int:
    """Estimate the least bytes that PyTorch holds at once.

    These are the scores of one head in the first stage, in float32, before and after softmax.
    """
    rows, columns = spec.encoder.compute_sizes(height, width)[0]
    reduction = spec.encoder.reductions[0]
    reduced = (rows // reduction) * (columns // reduction)
    return 2 * 4 * rows * columns * reduced


def _count_stage_params(spec: ModelSpec, stage: int) -> int:
    encoder = spec.encoder
    width, reduction = encoder.widths[stage], encoder.reductions[stage]
    inputs = spec.channels if stage == 0 else encoder.widths[stage - 1]
    hidden = encoder.ffn_widths[stage]
    norm = 2 * width
    patch_embed = inputs * width * encoder.patch_sizes[stage] ** 2 + width + norm
    attention = 4 * (width * width + width)
    if reduction > 1:
        attention += width * width * reduction**2 + width + norm
    ffn = (width * hidden + hidden) + (9 * hidden + hidden) + (hidden * width + width)
    return patch_embed + encoder.depths[stage] * (2 * norm + attention + ffn) + norm


def _count_stage_macs(spec: ModelSpec, stage: int, size: tuple[int, int], form: Form) -> int:
    encoder = spec.encoder
    width, reduction = encoder.widths[stage], encoder.reductions[stage]
    inputs = spec.channels if stage == 0 else encoder.widths[stage - 1]
    hidden = encoder.ffn_widths[stage]
    reduced_size = (size[0] // reduction, size[1] // reduction)
    tokens, reduced = prod(size), prod(reduced_size)
    queries = prod(halve(size)) if stage + 1 in form.queries else tokens
    keys = prod(halve(reduced_size)) if stage + 1 in form.keys else reduced
    patch_embed = tokens * inputs * width * encoder.patch_sizes[stage] ** 2
    linears = queries * width * width * 2 + keys * width * width * 2  # q, out; k, v
    sr_conv = reduced * width * width * reduction**2 if reduction > 1 else 0
    products = 2 * queries * keys * width
    ffn = tokens * (2 * width * hidden + 9 * hidden)
    return patch_embed + encoder.depths[stage] * (linears + sr_conv + products + ffn)


def _count_gray_macs(spec: ModelSpec, size: tuple[int, int]) -> int:
    """Count what a gray network's first convolution adds by taking a color image."""
    if spec.channels != GRAY:
        return 0
    kernel = spec.encoder.widths[0] * spec.encoder.patch_sizes[0] ** 2
    return size[0] * size[1] * (RGB - GRAY) * kernel


def _count_head_params(spec: ModelSpec) -> int:
    embed, batch_norm = spec.decoder_width, 2 * spec.decoder_width
    extra = batch_norm if spec.head is HeadKind.CONV else embed  # BatchNorm, or a bias
    projections = sum(width * embed + extra for width in spec.encoder.widths)
    fuse = 4 * embed * embed + batch_norm
    return projections + fuse + embed * spec.classes + spec.classes


def _count_original_head_macs(spec: ModelSpec, sizes: tuple[tuple[int, int], ...]) -> int:
    embed, finest = spec.decoder_width, sizes[0][0] * sizes[0][1]
    fuse = finest * 4 * embed * embed
    return _count_projection_macs(spec, sizes) + fuse + finest * embed * spec.classes


def _count_deployed_head_macs(spec: ModelSpec, sizes: tuple[tuple[int, int], ...]) -> int:
    embed, finest = spec.decoder_width, sizes[0][0] * sizes[0][1]
    fuse = 0
    if spec.head is HeadKind.CONV:  # its ReLU keeps projection and fusion apart
        fuse = sum(h * w * embed * embed for h, w in sizes)
    return _count_projection_macs(spec, sizes) + fuse + finest * embed * spec.classes


def _count_projection_macs(spec: ModelSpec, sizes: tuple[tuple[int, int], ...]) -> int:
    return sum(
        h * w * width * spec.decoder_width
        for (h, w), width in zip(sizes, spec.encoder.widths, strict=True)
    )
