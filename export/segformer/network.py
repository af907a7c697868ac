"""SegFormer as published, to be read beside the paper (Xie et al. 2021, arXiv:2105.15203).

    image ── stage 1 ── stage 2 ── stage 3 ── stage 4     MiT encoder, section 3.1
               │1/4       │1/8       │1/16      │1/32
               └──────────┴────┬─────┴──────────┘
                        All-MLP decoder                   section 3.2
                               │
                       logits at 1/4 size

This is the reference: nothing here is rewritten for speed. `edgeseg.export.segformer.rewrites`
turns it into the network that is deployed. Tokens are (N, H*W, C); images are (N, C, H, W).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeseg.segformer.arch import STAGES, HeadKind, ModelSpec

__all__ = [
    "AllMlpHead",
    "Block",
    "ConvHead",
    "EfficientSelfAttention",
    "MixFfn",
    "OverlapPatchEmbed",
    "SegFormer",
    "Stage",
    "to_image",
    "to_tokens",
    "upsample",
]


def to_tokens(image: Tensor) -> Tensor:
    """Turn (N, C, H, W) into (N, H*W, C)."""
    return image.flatten(2).transpose(1, 2)


def to_image(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Turn (N, H*W, C) into (N, C, H, W), with `size` = (H, W)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *size)


def upsample(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bilinearly to `size` = (H, W), as every SegFormer decoder does."""
    return functional.interpolate(image, size=size, mode="bilinear", align_corners=False)


class OverlapPatchEmbed(nn.Module):
    """Overlapped patch merging: a strided convolution whose windows overlap, then LayerNorm."""

    def __init__(self, inputs: int, outputs: int, *, patch: int, stride: int, eps: float) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, patch, stride, padding=patch // 2)
        self.norm = nn.LayerNorm(outputs, eps=eps)

    def forward(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Turn (N, C, H, W) into tokens, and give the size (h, w) that they form."""
        patches = self.proj(image)
        return self.norm(to_tokens(patches)), (patches.shape[2], patches.shape[3])


class EfficientSelfAttention(nn.Module):
    """Self-attention whose keys and values come from a reduced image (equation 2).

    Each side of the image is divided by R, the stage's sequence reduction ratio. At R = 1 nothing
    is reduced.
    """

    def __init__(self, width: int, *, heads: int, reduction: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.reduction = reduction
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        if reduction > 1:
            self.sr = nn.Conv2d(width, width, reduction, stride=reduction)
            self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Map tokens to tokens of the same shape."""
        reduced = self.reduce(tokens, size)
        q, k, v = (self.split(x) for x in (self.q(tokens), self.k(reduced), self.v(reduced)))
        scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
        return cast("Tensor", self.out(self.merge(scores.softmax(dim=3) @ v)))

    def reduce(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Reduce (N, H*W, C) to (N, H/R*W/R, C)."""
        if self.reduction == 1:
            return tokens
        return cast("Tensor", self.norm(to_tokens(self.sr(to_image(tokens, size)))))

    def split(self, tokens: Tensor) -> Tensor:
        """Split (N, L, C) into (N, heads, L, C/heads)."""
        batch, length, _ = tokens.shape
        return tokens.reshape(batch, length, self.heads, -1).transpose(1, 2)

    def merge(self, heads: Tensor) -> Tensor:
        """Merge (N, heads, L, C/heads) into (N, L, C)."""
        return heads.transpose(1, 2).flatten(2)


class MixFfn(nn.Module):
    """Feed-forward with a 3x3 depth-wise convolution, which gives tokens their position.

    This is equation 3. GELU is exact, through erf: the tanh form changes the logits by 1e-3.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Map tokens to tokens of the same shape."""
        hidden = to_tokens(self.dwconv(to_image(self.fc1(tokens), size)))
        return cast("Tensor", self.fc2(functional.gelu(hidden)))


class Block(nn.Module):
    """Attention and feed-forward, each behind a LayerNorm and around a residual."""

    def __init__(self, spec: ModelSpec, stage: int) -> None:
        super().__init__()
        encoder = spec.encoder
        width = encoder.widths[stage]
        self.norm1 = nn.LayerNorm(width, eps=spec.eps.block)
        self.attention = EfficientSelfAttention(
            width,
            heads=encoder.heads[stage],
            reduction=encoder.reductions[stage],
            eps=spec.eps.reduction,
        )
        self.norm2 = nn.LayerNorm(width, eps=spec.eps.block)
        self.ffn = MixFfn(width, encoder.ffn_widths[stage])

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Map tokens to tokens of the same shape."""
        tokens = tokens + self.attention(self.norm1(tokens), size)
        return tokens + cast("Tensor", self.ffn(self.norm2(tokens), size))


class Stage(nn.Module):
    """One of the encoder's four stages: merge patches, attend, normalize."""

    def __init__(self, spec: ModelSpec, stage: int) -> None:
        super().__init__()
        encoder, widths = spec.encoder, spec.encoder.widths
        self.patch_embed = OverlapPatchEmbed(
            spec.channels if stage == 0 else widths[stage - 1],
            widths[stage],
            patch=encoder.patch_sizes[stage],
            stride=encoder.strides[stage],
            eps=spec.eps.patch_embed,
        )
        self.blocks = nn.ModuleList(Block(spec, stage) for _ in range(encoder.depths[stage]))
        self.norm = nn.LayerNorm(widths[stage], eps=spec.eps.stage)

    def forward(self, image: Tensor) -> Tensor:
        """Map (N, C, H, W) to the next feature map, smaller by the stage's stride."""
        tokens, size = self.patch_embed(image)
        for block in self.blocks:
            tokens = block(tokens, size)
        return to_image(self.norm(tokens), size)


class AllMlpHead(nn.Module):
    """The paper's decoder (equation 4), as Hugging Face and NVlabs train it.

    The coarsest feature comes first in the concatenation. NVlabs' code does so, and the published
    weights need this order.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        embed = spec.decoder_width
        self.projections = nn.ModuleList(nn.Linear(c, embed) for c in spec.encoder.widths)
        self.fuse = nn.Conv2d(4 * embed, embed, 1, bias=False)
        self.norm = nn.BatchNorm2d(embed, eps=spec.eps.batch)
        self.classifier = nn.Conv2d(embed, spec.classes, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map four feature maps to logits at the size of the finest map."""
        finest = (features[0].shape[2], features[0].shape[3])
        projected = [
            upsample(to_image(projection(to_tokens(x)), (x.shape[2], x.shape[3])), finest)
            for projection, x in zip(self.projections, features, strict=True)
        ]
        fused = self.fuse(torch.cat(projected[::-1], dim=1))
        return cast("Tensor", self.classifier(functional.relu(self.norm(fused))))


class ConvHead(nn.Module):
    """mmsegmentation's decoder: BatchNorm and ReLU follow each projection, finest feature first."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        embed = spec.decoder_width
        self.projections = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c, embed, 1, bias=False), nn.BatchNorm2d(embed, eps=spec.eps.batch)
            )
            for c in spec.encoder.widths
        )
        self.fuse = nn.Conv2d(4 * embed, embed, 1, bias=False)
        self.norm = nn.BatchNorm2d(embed, eps=spec.eps.batch)
        self.classifier = nn.Conv2d(embed, spec.classes, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map four feature maps to logits at the size of the finest map."""
        finest = (features[0].shape[2], features[0].shape[3])
        projected = [
            upsample(functional.relu(projection(x)), finest)
            for projection, x in zip(self.projections, features, strict=True)
        ]
        fused = self.fuse(torch.cat(projected, dim=1))
        return cast("Tensor", self.classifier(functional.relu(self.norm(fused))))


class SegFormer(nn.Module):
    """Encoder and decoder. Dropout and stochastic depth act in training only and are absent."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stages = nn.ModuleList(Stage(spec, stage) for stage in range(STAGES))
        self.head = AllMlpHead(spec) if spec.head is HeadKind.LINEAR else ConvHead(spec)

    def forward(self, image: Tensor) -> Tensor:
        """Map normalized (N, channels, H, W), RGB if three, to logits (N, classes, H/4, W/4).

        The logits' size is that of the first stage: a quarter with the published stride of 4.
        """
        features = []
        for stage in self.stages:
            image = stage(image)
            features.append(image)
        return cast("Tensor", self.head(features))
