"""Rewrites the published network into the deployed one, which computes the same function.

Each rewrite equals the original up to rounding. Weights are combined in float64 and rounded once.
Only a form that the caller names (see `edgeseg.segformer.form`) makes it another function.

    fold_input               uint8 in, as a camera gives it; 1/std goes into the first convolution
    merge_attention          1/sqrt(d) goes into the query; keys and values become one matrix
    sum_before_upsampling    the decoder's products are formed at each stage's own size
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeseg.errors import SpecError
from edgeseg.export.segformer.merging import average_tokens, spread_tokens
from edgeseg.export.segformer.network import (
    AllMlpHead,
    Block,
    ConvHead,
    EfficientSelfAttention,
    OverlapPatchEmbed,
    SegFormer,
    Stage,
    to_image,
    to_tokens,
    upsample,
)
from edgeseg.segformer.arch import LUMA_RGB, Encoder, ModelSpec
from edgeseg.segformer.form import EXACT, Form, HeadForm, halve
from edgeseg.spec import GRAY, RGB

__all__ = [
    "DeployedSegFormer",
    "MergedAttention",
    "SummedHead",
    "fold_input",
    "merge_attention",
    "rewrite",
    "sum_before_upsampling",
]


class MergedAttention(nn.Module):
    """Efficient self-attention with two projections: a scaled query, and keys beside values.

    With `average_queries` four neighbors share a query and its answer; with `average_keys` they
    share a key and a value.
    """

    def __init__(
        self, original: EfficientSelfAttention, *, average_queries: bool, average_keys: bool
    ) -> None:
        super().__init__()
        width = original.q.in_features
        self.heads = original.heads
        self.reduction = original.reduction
        self.average_queries = average_queries
        self.average_keys = average_keys
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = original.out
        if self.reduction > 1:
            self.sr = original.sr
            self.norm = original.norm

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Map tokens to tokens of the same shape."""
        reduced, reduced_size = tokens, size
        if self.reduction > 1:
            image = self.sr(to_image(tokens, size))
            reduced, reduced_size = self.norm(to_tokens(image)), (image.shape[2], image.shape[3])
        if self.average_keys:  # a linear layer's mean is that of its input: keys and values at once
            reduced = average_tokens(reduced, reduced_size)
        asking = average_tokens(tokens, size) if self.average_queries else tokens
        q = self.q(asking).unflatten(2, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv(reduced).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(2, 3)).softmax(dim=3) @ v
        answer = cast("Tensor", self.out(mixed.transpose(1, 2).flatten(2)))
        return spread_tokens(answer, size) if self.average_queries else answer


class SummedHead(nn.Module):
    """The decoder without concatenation: each stage's share is computed small, then upsampled.

    `branches[i]` is a 1x1 convolution to the decoder's width; with mmsegmentation's head it is two
    such convolutions around a ReLU. The finest branch holds the bias of all branches. `upsampling`
    says whether a share goes to the finest size at once, or from stage to stage, and what the
    finest size is.
    """

    def __init__(
        self, branches: Sequence[nn.Module], classifier: nn.Conv2d, *, upsampling: HeadForm
    ) -> None:
        super().__init__()
        self.upsampling = upsampling
        self.branches = nn.ModuleList(branches)
        self.classifier = classifier

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map four feature maps to logits at the size of the finest map."""
        finest = (features[0].shape[2], features[0].shape[3])
        if self.upsampling is HeadForm.STRIDE_8:
            tokens = average_tokens(to_tokens(features[0]), finest)
            features = [to_image(tokens, halve(finest)), *features[1:]]
        shares = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        if self.upsampling is HeadForm.DIRECT:
            total = shares[0]
            for share in shares[1:]:
                total = total + upsample(share, finest)
        else:
            total = shares[-1]
            for share in shares[-2::-1]:
                total = share + upsample(total, (share.shape[2], share.shape[3]))
        logits: Tensor = self.classifier(functional.relu(total))
        return upsample(logits, finest) if self.upsampling is HeadForm.STRIDE_8 else logits


class DeployedSegFormer(nn.Module):
    """The network that every artifact computes: from a camera's image to logits."""

    def __init__(
        self, spec: ModelSpec, *, mean: Tensor, stages: Sequence[Stage], head: SummedHead
    ) -> None:
        super().__init__()
        self.spec = spec
        self.mean = nn.Buffer(mean)
        self.stages = nn.ModuleList(stages)
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """Map uint8 (1, H, W, C) to logits (1, classes, H/4, W/4); three channels are BGR."""
        x = (image.to(self.mean.dtype) - self.mean).permute(0, 3, 1, 2)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return cast("Tensor", self.head(features))


@torch.no_grad()
def rewrite(
    model: SegFormer, *, mean: Sequence[float], std: Sequence[float], form: Form = EXACT
) -> DeployedSegFormer:
    """Apply all rewrites to a copy, and build it in a form.

    `mean` and `std` are of values in 0..1, for each channel of the frame: red, green and blue of a
    color or gray network, else the network's own channels.

    Raises:
        SpecError: the form's head needs other strides than the network has.
    """
    if form.head is HeadForm.STRIDE_8:
        _check_second_stage(model.spec.encoder, form)
    stages = copy.deepcopy(list(model.stages))
    for number, stage in enumerate(cast("list[Stage]", stages), start=1):
        for block in cast("list[Block]", list(stage.blocks)):
            block.attention = merge_attention(  # type: ignore[assignment]  # same call
                block.attention,
                average_queries=number in form.queries,
                average_keys=number in form.keys,
            )
    first = cast("Stage", stages[0])
    first.patch_embed = fold_input(first.patch_embed, std=std)
    dtype = first.patch_embed.proj.weight.dtype
    means = mean[::-1] if len(mean) == RGB else mean
    deployed = DeployedSegFormer(
        model.spec,
        mean=torch.tensor([255 * one for one in means], dtype=dtype),
        stages=cast("list[Stage]", stages),
        head=sum_before_upsampling(model.head, upsampling=form.head),
    )
    return deployed.eval().requires_grad_(requires_grad=False)


def _check_second_stage(encoder: Encoder, form: Form) -> None:
    strides, patch = encoder.strides[:2], encoder.patch_sizes[1]
    if strides != (4, 2) or patch % 2 == 0:
        raise SpecError(
            f"form {form.name}: a head at {form.head.value} needs a first stage at stride 4 and a "
            f"second one of half its size; this network has strides of {strides[0]} and "
            f"{strides[1]}, and patches of {patch} in the second stage; choose another head"
        )


def fold_input(embed: OverlapPatchEmbed, *, std: Sequence[float]) -> OverlapPatchEmbed:
    """Let the first convolution take mean-free values in 0..255 in place of normalized ones.

    Dividing by std commutes with zero padding, so the division may move into the weights.
    Subtracting the mean does not (padding would no longer be zero), so it stays a node.

    RGB becomes BGR. A gray network gets a color image's three channels: gray is their weighted
    sum, so each weight becomes three. On a gray camera's image, whose channels are equal, that is
    exact; on a color image it is the unrounded luma.
    """
    weight = embed.proj.weight.double()
    if weight.shape[1] == GRAY:
        weight = weight * torch.tensor(LUMA_RGB, dtype=torch.float64).reshape(1, RGB, 1, 1)
    weight = weight / (255 * torch.tensor(list(std), dtype=torch.float64).reshape(1, -1, 1, 1))
    if weight.shape[1] == RGB:
        weight = weight.flip(1)
    folded = copy.deepcopy(embed)
    folded.proj.in_channels = weight.shape[1]
    folded.proj.weight = nn.Parameter(weight.to(embed.proj.weight.dtype))
    return folded


def merge_attention(
    original: EfficientSelfAttention, *, average_queries: bool = False, average_keys: bool = False
) -> MergedAttention:
    """Fold the score scale 1/sqrt(d) into the query and stack keys over values."""
    merged = MergedAttention(
        original, average_queries=average_queries, average_keys=average_keys
    ).to(original.q.weight.dtype)
    scale = (original.q.out_features // original.heads) ** -0.5
    merged.q.weight.copy_(original.q.weight.double() * scale)
    merged.q.bias.copy_(original.q.bias.double() * scale)
    merged.kv.weight.copy_(torch.cat([original.k.weight, original.v.weight]))
    merged.kv.bias.copy_(torch.cat([original.k.bias, original.v.bias]))
    return merged


def sum_before_upsampling(
    head: AllMlpHead | ConvHead, *, upsampling: HeadForm = HeadForm.DIRECT
) -> SummedHead:
    """Exchange upsampling with the 1x1 convolutions behind it.

        norm(fuse(concat_i up(P_i x_i + b_i)))  ==  sum_i up(g F_i P_i x_i) + bias

    Bilinear interpolation is linear in each channel and its weights sum to 1, so it commutes with
    1x1 convolutions and does not change constants. F_i is the fuse kernel's share of stage i.
    BatchNorm gives g and the rest of `bias`. With mmsegmentation's head a ReLU stands between P_i
    and F_i, so only F_i moves.
    """
    gain, shift = _to_affine(head.norm)
    fuse = gain[:, None] * head.fuse.weight.double().flatten(1)
    shares = list(fuse.chunk(4, dim=1))
    if isinstance(head, AllMlpHead):
        shares.reverse()  # concatenated coarsest first
        weights = [
            share @ projection.weight.double()
            for share, projection in zip(shares, _list_linears(head), strict=True)
        ]
        shift = shift + sum(
            share @ projection.bias.double()
            for share, projection in zip(shares, _list_linears(head), strict=True)
        )
        branches: list[nn.Module] = [
            _make_conv1x1(weight, shift if stage == 0 else None, like=head.fuse)
            for stage, weight in enumerate(weights)
        ]
    else:
        branches = [
            nn.Sequential(
                _fold(projection, like=head.fuse),
                nn.ReLU(),
                _make_conv1x1(share, shift if stage == 0 else None, like=head.fuse),
            )
            for stage, (share, projection) in enumerate(zip(shares, head.projections, strict=True))
        ]
    return SummedHead(branches, copy.deepcopy(head.classifier), upsampling=upsampling)


def _list_linears(head: AllMlpHead) -> list[nn.Linear]:
    return cast("list[nn.Linear]", list(head.projections))


def _fold(projection: nn.Module, *, like: nn.Conv2d) -> nn.Conv2d:
    conv, norm = cast("tuple[nn.Conv2d, nn.BatchNorm2d]", tuple(projection.children()))
    gain, shift = _to_affine(norm)
    return _make_conv1x1(gain[:, None] * conv.weight.double().flatten(1), shift, like=like)


def _to_affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Turn BatchNorm in evaluation mode into gain and shift, in float64."""
    assert norm.running_mean is not None, "checkpoints carry BatchNorm's running statistics"
    assert norm.running_var is not None, "checkpoints carry BatchNorm's running statistics"
    gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return gain, norm.bias.double() - gain * norm.running_mean.double()


def _make_conv1x1(weight: Tensor, bias: Tensor | None, *, like: nn.Conv2d) -> nn.Conv2d:
    outputs, inputs = weight.shape
    conv = nn.Conv2d(inputs, outputs, 1, bias=bias is not None, dtype=like.weight.dtype)
    conv.weight.copy_(weight[:, :, None, None])
    if bias is not None and conv.bias is not None:
        conv.bias.copy_(bias)
    return conv
