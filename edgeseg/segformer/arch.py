"""What a SegFormer is: its sizes, its shapes, and the roles of its operations.

The table of variants is that of the SegFormer paper (Xie et al. 2021, arXiv:2105.15203,
table 6) and of the published checkpoints, whose shapes confirm it. A checkpoint may have any other
Mix Transformer of four stages.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from edgeseg.errors import SpecError
from edgeseg.spec import RGB, InputSpec

__all__ = [
    "ATTENTION_HEADS",
    "CUSTOM",
    "LUMA_RGB",
    "STAGES",
    "VARIANTS",
    "Encoder",
    "HeadKind",
    "ModelSpec",
    "NormEps",
    "PerStage",
    "Role",
    "Variant",
    "compute_logits_shape",
    "title_model",
]

STAGES: Final = 4
PerStage = tuple[int, int, int, int]  # one number for each stage, finest first

# How Pillow and OpenCV turn red, green and blue into gray (ITU-R BT.601).
LUMA_RGB: Final = (0.299, 0.587, 0.114)

CUSTOM: Final = "custom"  # the name of every encoder that is none of B0 to B5

# The values are the same for B0 to B5. The weights' shapes do not show the heads.
ATTENTION_HEADS: Final = (1, 2, 5, 8)
_MLP_RATIO: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A Mix Transformer: channels, blocks, and so on of its four stages.

    `reductions` divide each side of the image that keys and values come from. `patch_sizes` and
    `strides` are in positions of the stage before. `ffn_widths` are the channels between the two
    linear layers of a Mix-FFN.
    """

    widths: PerStage
    depths: PerStage
    ffn_widths: PerStage
    heads: PerStage = ATTENTION_HEADS
    reductions: PerStage = (8, 4, 2, 1)
    patch_sizes: PerStage = (7, 3, 3, 3)
    strides: PerStage = (4, 2, 2, 2)

    def __post_init__(self) -> None:
        for width, heads in zip(self.widths, self.heads, strict=True):
            if heads < 1 or width % heads:
                raise SpecError(f"{width} channels cannot be shared among {heads} attention heads")
        if min(self.strides) < 1:
            raise SpecError(f"a stride is 1 or more; got {self.strides}")

    def compute_sizes(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Compute height and width of the four stages' feature maps, in positions.

        Patch embedding pads by half its kernel. With the published kernels each stage rounds up:
        1/4, 1/8, 1/16, 1/32.
        """
        sizes = []
        for patch, stride in zip(self.patch_sizes, self.strides, strict=True):
            height, width = (
                (side + 2 * (patch // 2) - patch) // stride + 1 for side in (height, width)
            )
            sizes.append((height, width))
        return tuple(sizes)

    def check_size(self, height: int, width: int) -> None:
        """Refuse an input, in pixels, of which a stage would have nothing left to attend to.

        Raises:
            SpecError: the input is too small.
        """
        for size, reduction in zip(self.compute_sizes(height, width), self.reductions, strict=True):
            if min(size) < reduction:
                raise SpecError(
                    f"an input of {height}x{width} (height x width) is too small for this network; "
                    f"choose a larger --size"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One of the published models: its encoder, and the channels of its decoder."""

    name: str
    encoder: Encoder
    decoder_width: int


_SMALL: Final = (32, 64, 160, 256)
_LARGE: Final = (64, 128, 320, 512)


def _publish(name: str, widths: PerStage, depths: PerStage, decoder_width: int) -> Variant:
    one, two, three, four = (_MLP_RATIO * width for width in widths)
    encoder = Encoder(widths=widths, depths=depths, ffn_widths=(one, two, three, four))
    return Variant(name=name, encoder=encoder, decoder_width=decoder_width)


VARIANTS: Final[Mapping[str, Variant]] = MappingProxyType(
    {
        variant.name: variant
        for variant in (
            _publish("b0", _SMALL, (2, 2, 2, 2), 256),
            _publish("b1", _LARGE, (2, 2, 2, 2), 256),
            _publish("b2", _LARGE, (3, 4, 6, 3), 768),
            _publish("b3", _LARGE, (3, 4, 18, 3), 768),
            _publish("b4", _LARGE, (3, 8, 27, 3), 768),
            _publish("b5", _LARGE, (3, 6, 40, 3), 768),
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
    """Everything that fixes a SegFormer's shapes and arithmetic, except its weights.

    `channels` are those of an image: 3 of a color image, 1 of a gray one, or others of a sensor.
    """

    encoder: Encoder
    classes: int
    decoder_width: int
    head: HeadKind
    eps: NormEps
    channels: int = RGB

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise SpecError(f"a segmentation model has at least 2 classes, got {self.classes}")

    @property
    def name(self) -> str:
        """The published model with this encoder, `b0` to `b5`, whatever its heads; or `custom`."""
        return next(
            (
                variant.name
                for variant in VARIANTS.values()
                if variant.encoder.widths == self.encoder.widths
                and replace(variant.encoder, heads=self.encoder.heads) == self.encoder
            ),
            CUSTOM,
        )

    @property
    def title(self) -> str:
        """The model's name for people: `SegFormer-B0`, or the encoder's widths and depths."""
        return title_model(self.name, self.encoder.widths, self.encoder.depths)


def title_model(name: str, widths: PerStage | None, depths: PerStage | None) -> str:
    """Name a model for people; a published `name` says all that matters."""
    if name != CUSTOM or widths is None or depths is None:
        return f"SegFormer-{name.upper()}"
    blocks, channels = ("-".join(map(str, one)) for one in (depths, widths))
    return f"custom SegFormer ({blocks} blocks of {channels} channels)"


def compute_logits_shape(model: ModelSpec, spec: InputSpec) -> tuple[int, int, int, int]:
    """Compute the shape of a graph's logits: (1, classes, h, w), h and w of the first stage."""
    height, width = model.encoder.compute_sizes(spec.height, spec.width)[0]
    return 1, model.classes, height, width


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
