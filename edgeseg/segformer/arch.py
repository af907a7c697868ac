"""What a SegFormer is: its sizes, its shapes, and the roles of its operations.

The architecture table is that of the SegFormer paper (Xie et al. 2021, arXiv:2105.15203,
table 6) and of the published checkpoints, whose shapes confirm it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edgeseg.errors import SpecError
from edgeseg.spec import InputSpec

__all__ = [
    "ATTENTION_HEADS",
    "MLP_RATIO",
    "PATCH_SIZES",
    "PATCH_STRIDES",
    "SR_RATIOS",
    "VARIANTS",
    "HeadKind",
    "ModelSpec",
    "NormEps",
    "Role",
    "Variant",
    "compute_feature_sizes",
    "compute_logits_shape",
]

# The values are the same for B0 to B5, one a stage. The weights' shapes do not show the heads, so a
# configuration may say otherwise (`ModelSpec.heads`).
ATTENTION_HEADS: Final = (1, 2, 5, 8)
SR_RATIOS: Final = (8, 4, 2, 1)
PATCH_SIZES: Final = (7, 3, 3, 3)
PATCH_STRIDES: Final = (4, 2, 2, 2)
MLP_RATIO: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One size of the Mix Transformer: channels and number of blocks of its four stages."""

    name: str
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    decoder_width: int


_SMALL: Final = (32, 64, 160, 256)
_LARGE: Final = (64, 128, 320, 512)

VARIANTS: Final[Mapping[str, Variant]] = MappingProxyType(
    {
        variant.name: variant
        for variant in (
            Variant(name="b0", widths=_SMALL, depths=(2, 2, 2, 2), decoder_width=256),
            Variant(name="b1", widths=_LARGE, depths=(2, 2, 2, 2), decoder_width=256),
            Variant(name="b2", widths=_LARGE, depths=(3, 4, 6, 3), decoder_width=768),
            Variant(name="b3", widths=_LARGE, depths=(3, 4, 18, 3), decoder_width=768),
            Variant(name="b4", widths=_LARGE, depths=(3, 8, 27, 3), decoder_width=768),
            Variant(name="b5", widths=_LARGE, depths=(3, 6, 40, 3), decoder_width=768),
        )
    }
)


class HeadKind(enum.Enum):
    """Which decoder the checkpoint was trained with."""

    LINEAR = "linear"
    """The paper's: a linear projection a stage. Hugging Face and NVlabs."""

    CONV = "conv"
    """mmsegmentation's: convolution, BatchNorm and ReLU a stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormEps:
    """Epsilon of each LayerNorm by its place, and of the head's BatchNorm (`batch`).

    It follows the framework that trained the checkpoint: transformers leaves nn.LayerNorm's 1e-5
    everywhere (`config.layer_norm_eps` is not read); NVlabs passes 1e-6 to the blocks and stages
    only; mmsegmentation uses 1e-6 everywhere, and what its `norm_cfg` says.
    """

    patch_embed: float
    block: float
    reduction: float
    stage: float
    batch: float = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Everything that fixes a SegFormer's shapes and arithmetic, except its weights."""

    variant: Variant
    classes: int
    decoder_width: int
    head: HeadKind
    eps: NormEps
    heads: tuple[int, int, int, int] = ATTENTION_HEADS

    def __post_init__(self) -> None:
        for width, heads in zip(self.variant.widths, self.heads, strict=True):
            if heads < 1 or width % heads:
                raise SpecError(f"{width} channels cannot be shared among {heads} attention heads")
        if self.classes < 2:
            raise SpecError(f"a segmentation model has at least 2 classes, got {self.classes}")


def compute_feature_sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Compute height and width of the four stages' feature maps, in positions.

    Patch embedding pads by half its kernel, so each stage rounds up: 1/4, 1/8, 1/16, 1/32.
    """
    sizes = []
    for stride in PATCH_STRIDES:
        height, width = -(-height // stride), -(-width // stride)
        sizes.append((height, width))
    return tuple(sizes)


def compute_logits_shape(classes: int, spec: InputSpec) -> tuple[int, int, int, int]:
    """Compute the shape of a graph's logits: (1, classes, height/4, width/4), rounded up."""
    return (1, classes, *compute_feature_sizes(spec.height, spec.width)[0])


class Role(enum.Enum):
    """What a node with multiply-adds does. Its name in every graph ends in this word."""

    PATCH_EMBED = "patch_embed"
    SR_CONV = "sr_conv"
    Q = "q"
    KV = "kv"
    SCORES = "scores"
    VALUES = "values"
    ATTN_OUT = "attn_out"
    FFN_IN = "ffn_in"
    DWCONV = "dwconv"
    FFN_OUT = "ffn_out"
    HEAD_PROJ = "head_proj"
    CLASSIFIER = "classifier"
