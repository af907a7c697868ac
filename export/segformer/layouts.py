"""The ways in which frameworks name a SegFormer's weights, as data.

A layout maps each of our parameters to a place in the file: for NVlabs, our parameter
`stages.{i}.blocks.{j}.attention.k` is the first half of the rows of
`backbone.block{n}.{j}.attn.kv`. `edgeseg.export.segformer.mapping` applies these maps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeseg.export.habits import Habits
from edgeseg.segformer.arch import STAGES, HeadKind, NormEps
from edgeseg.spec import Aspect, Resize, Upsampling

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "HUGGING_FACE",
    "LAYOUTS",
    "NVLABS",
    "SMP",
    "TAO",
    "Layout",
    "Source",
    "State",
    "find_source",
]

State = Mapping[str, "Tensor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The names that one framework gives to the weights.

    `modules` maps our module names to theirs; {i} is the stage from 0, {n} from 1, {r} counts from
    0 at the last stage, {j} is the block. `[1/3]` takes the second third of the rows. `{leaf}` is
    `weight` or `bias`; a name without `{leaf}` gets `.{leaf}` at its end.
    """

    name: str
    head: HeadKind
    eps: NormEps
    modules: Mapping[str, str]
    signature: str  # a key that no other layout has
    habits: Habits
    # Keys that every file has and that the network does not use.
    unused: tuple[str, ...] = ()
    # Keys of a second head for another task, which a file may have.
    auxiliary: tuple[str, ...] = ()
    # The key of a bias before the head's BatchNorm, where the framework has one.
    fuse_bias: str | None = None
    # The framework's name; None for Hugging Face, whose JSON files are complete.
    framework: str | None = None
    upsampling: Upsampling = Upsampling.HALF_PIXEL
    # The probability above which the framework takes a single logit for its second class.
    threshold: float = 0.5


_HALVES: Final = (0.5, 0.5, 0.5)

_OPENMMLAB_HABITS: Final = Habits(resize=Resize.OPENCV_BILINEAR, aspect=Aspect.KEEP)
_HF_HABITS: Final = Habits(resize=Resize.PILLOW_BILINEAR, aspect=Aspect.SQUASH)
_HF_EPS: Final = NormEps(patch_embed=1e-5, block=1e-5, reduction=1e-5, stage=1e-5)

_HF_HEAD: Final = {
    "head.fuse": "decode_head.linear_fuse",
    "head.norm": "decode_head.batch_norm",
    "head.classifier": "decode_head.classifier",
}

HUGGING_FACE: Final = Layout(
    name="huggingface",
    head=HeadKind.LINEAR,
    eps=_HF_EPS,
    habits=_HF_HABITS,
    signature="segformer.encoder.patch_embeddings.0.proj.weight",
    modules={
        "stages.{i}.patch_embed.proj": "segformer.encoder.patch_embeddings.{i}.proj",
        "stages.{i}.patch_embed.norm": "segformer.encoder.patch_embeddings.{i}.layer_norm",
        "stages.{i}.blocks.{j}.norm1": "segformer.encoder.block.{i}.{j}.layer_norm_1",
        "stages.{i}.blocks.{j}.norm2": "segformer.encoder.block.{i}.{j}.layer_norm_2",
        "stages.{i}.blocks.{j}.attention.q": "segformer.encoder.block.{i}.{j}.attention.self.query",
        "stages.{i}.blocks.{j}.attention.k": "segformer.encoder.block.{i}.{j}.attention.self.key",
        "stages.{i}.blocks.{j}.attention.v": "segformer.encoder.block.{i}.{j}.attention.self.value",
        "stages.{i}.blocks.{j}.attention.sr": "segformer.encoder.block.{i}.{j}.attention.self.sr",
        "stages.{i}.blocks.{j}.attention.norm": (
            "segformer.encoder.block.{i}.{j}.attention.self.layer_norm"
        ),
        "stages.{i}.blocks.{j}.attention.out": (
            "segformer.encoder.block.{i}.{j}.attention.output.dense"
        ),
        "stages.{i}.blocks.{j}.ffn.fc1": "segformer.encoder.block.{i}.{j}.mlp.dense1",
        "stages.{i}.blocks.{j}.ffn.dwconv": "segformer.encoder.block.{i}.{j}.mlp.dwconv.dwconv",
        "stages.{i}.blocks.{j}.ffn.fc2": "segformer.encoder.block.{i}.{j}.mlp.dense2",
        "stages.{i}.norm": "segformer.encoder.layer_norm.{i}",
        "head.projections.{i}": "decode_head.linear_c.{i}.proj",
        **_HF_HEAD,
    },
)

# transformers 5 renamed its modules; save_pretrained writes the old names, state_dict() the new.
HUGGING_FACE_5: Final = Layout(
    name="huggingface-5",
    head=HeadKind.LINEAR,
    eps=_HF_EPS,
    habits=_HF_HABITS,
    signature="segformer.stages.0.patch_embeddings.proj.weight",
    modules={
        "stages.{i}.patch_embed.proj": "segformer.stages.{i}.patch_embeddings.proj",
        "stages.{i}.patch_embed.norm": "segformer.stages.{i}.patch_embeddings.layer_norm",
        "stages.{i}.blocks.{j}.norm1": "segformer.stages.{i}.blocks.{j}.layernorm_before",
        "stages.{i}.blocks.{j}.norm2": "segformer.stages.{i}.blocks.{j}.layernorm_after",
        "stages.{i}.blocks.{j}.attention.q": "segformer.stages.{i}.blocks.{j}.attention.q_proj",
        "stages.{i}.blocks.{j}.attention.k": "segformer.stages.{i}.blocks.{j}.attention.k_proj",
        "stages.{i}.blocks.{j}.attention.v": "segformer.stages.{i}.blocks.{j}.attention.v_proj",
        "stages.{i}.blocks.{j}.attention.sr": (
            "segformer.stages.{i}.blocks.{j}.attention.sequence_reduction.sequence_reduction"
        ),
        "stages.{i}.blocks.{j}.attention.norm": (
            "segformer.stages.{i}.blocks.{j}.attention.sequence_reduction.layer_norm"
        ),
        "stages.{i}.blocks.{j}.attention.out": "segformer.stages.{i}.blocks.{j}.attention.o_proj",
        "stages.{i}.blocks.{j}.ffn.fc1": "segformer.stages.{i}.blocks.{j}.mlp.fc1",
        "stages.{i}.blocks.{j}.ffn.dwconv": "segformer.stages.{i}.blocks.{j}.mlp.dwconv.dwconv",
        "stages.{i}.blocks.{j}.ffn.fc2": "segformer.stages.{i}.blocks.{j}.mlp.fc2",
        "stages.{i}.norm": "segformer.stages.{i}.layer_norm",
        "head.projections.{i}": "decode_head.linear_projections.{i}.proj",
        **_HF_HEAD,
    },
)


def _name_encoder(prefix: str) -> dict[str, str]:
    """Name the encoder as NVlabs does, under a name of its own."""
    return {
        "stages.{i}.patch_embed.proj": f"{prefix}.patch_embed{{n}}.proj",
        "stages.{i}.patch_embed.norm": f"{prefix}.patch_embed{{n}}.norm",
        "stages.{i}.blocks.{j}.norm1": f"{prefix}.block{{n}}.{{j}}.norm1",
        "stages.{i}.blocks.{j}.norm2": f"{prefix}.block{{n}}.{{j}}.norm2",
        "stages.{i}.blocks.{j}.attention.q": f"{prefix}.block{{n}}.{{j}}.attn.q",
        "stages.{i}.blocks.{j}.attention.k": f"{prefix}.block{{n}}.{{j}}.attn.kv[0/2]",
        "stages.{i}.blocks.{j}.attention.v": f"{prefix}.block{{n}}.{{j}}.attn.kv[1/2]",
        "stages.{i}.blocks.{j}.attention.sr": f"{prefix}.block{{n}}.{{j}}.attn.sr",
        "stages.{i}.blocks.{j}.attention.norm": f"{prefix}.block{{n}}.{{j}}.attn.norm",
        "stages.{i}.blocks.{j}.attention.out": f"{prefix}.block{{n}}.{{j}}.attn.proj",
        "stages.{i}.blocks.{j}.ffn.fc1": f"{prefix}.block{{n}}.{{j}}.mlp.fc1",
        "stages.{i}.blocks.{j}.ffn.dwconv": f"{prefix}.block{{n}}.{{j}}.mlp.dwconv.dwconv",
        "stages.{i}.blocks.{j}.ffn.fc2": f"{prefix}.block{{n}}.{{j}}.mlp.fc2",
        "stages.{i}.norm": f"{prefix}.norm{{n}}",
    }


_NVLABS_EPS: Final = NormEps(patch_embed=1e-5, block=1e-6, reduction=1e-5, stage=1e-6)

NVLABS: Final = Layout(
    name="nvlabs",
    framework="NVlabs",
    habits=_OPENMMLAB_HABITS,
    head=HeadKind.LINEAR,
    eps=_NVLABS_EPS,
    signature="decode_head.linear_pred.weight",
    unused=("decode_head.conv_seg.weight", "decode_head.conv_seg.bias"),
    modules={
        **_name_encoder("backbone"),
        "head.projections.{i}": "decode_head.linear_c{n}.proj",
        "head.fuse": "decode_head.linear_fuse.conv",
        "head.norm": "decode_head.linear_fuse.bn",
        "head.classifier": "decode_head.linear_pred",
    },
)

# PyTorch Lightning puts `model.` before each name.
TAO: Final = Layout(
    name="tao",
    framework="NVIDIA TAO",
    head=HeadKind.LINEAR,
    eps=_NVLABS_EPS,
    signature="decoder.linear_pred.weight",
    fuse_bias="decoder.linear_fuse.0.bias",
    habits=Habits(
        resize=Resize.PILLOW_BICUBIC, aspect=Aspect.SQUASH, mean=_HALVES, std=_HALVES, side=256
    ),
    modules={
        **_name_encoder("backbone"),
        "head.projections.{i}": "decoder.linear_c{n}.proj",
        "head.fuse": "decoder.linear_fuse.0",
        "head.norm": "decoder.linear_fuse.1",
        "head.classifier": "decoder.linear_pred",
    },
)

SMP: Final = Layout(
    name="smp",
    framework="segmentation_models_pytorch",
    head=HeadKind.LINEAR,
    eps=_NVLABS_EPS,
    signature="decoder.mlp_stage.0.linear.weight",
    auxiliary=("classification_head.3.weight", "classification_head.3.bias"),
    # Its users resize with albumentations, which uses OpenCV.
    habits=Habits(resize=Resize.OPENCV_BILINEAR, aspect=Aspect.SQUASH, multiple=32),
    upsampling=Upsampling.ALIGN_CORNERS,
    modules={
        **_name_encoder("encoder"),
        "head.projections.{i}": "decoder.mlp_stage.{r}.linear",
        "head.fuse": "decoder.fuse_stage.0",
        "head.norm": "decoder.fuse_stage.1",
        "head.classifier": "segmentation_head.0",
    },
)

MMSEG: Final = Layout(
    name="mmsegmentation",
    framework="mmsegmentation",
    threshold=0.3,
    habits=_OPENMMLAB_HABITS,
    head=HeadKind.CONV,
    eps=NormEps(patch_embed=1e-6, block=1e-6, reduction=1e-6, stage=1e-6),
    signature="decode_head.convs.0.conv.weight",
    modules={
        "stages.{i}.patch_embed.proj": "backbone.layers.{i}.0.projection",
        "stages.{i}.patch_embed.norm": "backbone.layers.{i}.0.norm",
        "stages.{i}.blocks.{j}.norm1": "backbone.layers.{i}.1.{j}.norm1",
        "stages.{i}.blocks.{j}.norm2": "backbone.layers.{i}.1.{j}.norm2",
        "stages.{i}.blocks.{j}.attention.q": (
            "backbone.layers.{i}.1.{j}.attn.attn.in_proj_{leaf}[0/3]"
        ),
        "stages.{i}.blocks.{j}.attention.k": (
            "backbone.layers.{i}.1.{j}.attn.attn.in_proj_{leaf}[1/3]"
        ),
        "stages.{i}.blocks.{j}.attention.v": (
            "backbone.layers.{i}.1.{j}.attn.attn.in_proj_{leaf}[2/3]"
        ),
        "stages.{i}.blocks.{j}.attention.sr": "backbone.layers.{i}.1.{j}.attn.sr",
        "stages.{i}.blocks.{j}.attention.norm": "backbone.layers.{i}.1.{j}.attn.norm",
        "stages.{i}.blocks.{j}.attention.out": "backbone.layers.{i}.1.{j}.attn.attn.out_proj",
        "stages.{i}.blocks.{j}.ffn.fc1": "backbone.layers.{i}.1.{j}.ffn.layers.0",
        "stages.{i}.blocks.{j}.ffn.dwconv": "backbone.layers.{i}.1.{j}.ffn.layers.1",
        "stages.{i}.blocks.{j}.ffn.fc2": "backbone.layers.{i}.1.{j}.ffn.layers.4",
        "stages.{i}.norm": "backbone.layers.{i}.2",
        "head.projections.{i}.0": "decode_head.convs.{i}.conv",
        "head.projections.{i}.1": "decode_head.convs.{i}.bn",
        "head.fuse": "decode_head.fusion_conv.conv",
        "head.norm": "decode_head.fusion_conv.bn",
        "head.classifier": "decode_head.conv_seg",
    },
)

LAYOUTS: Final = (HUGGING_FACE, HUGGING_FACE_5, NVLABS, MMSEG, TAO, SMP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A tensor of the checkpoint, or one of `parts` equal runs of its rows."""

    key: str
    part: int = 0
    parts: int = 1

    def take(self, tensor: Tensor) -> Tensor:
        """Take these rows of the checkpoint's tensor."""
        if self.parts == 1 or not tensor.ndim:  # a scalar is refused later, by its shape
            return tensor
        rows = tensor.shape[0] // self.parts
        return tensor[self.part * rows : (self.part + 1) * rows]


def find_source(layout: Layout, ours: str) -> Source:
    """Find the tensor in the checkpoint that holds our parameter `ours`."""
    module, leaf = ours.rsplit(".", 1)
    numbers = re.findall(r"(?<=\.)\d+", module)
    template = module
    if module.startswith(("stages.", "head.projections.")):
        for number, letter in zip(numbers, "ij", strict=False):
            if letter == "j" and not module.startswith("stages."):
                break  # head.projections.{i}.0: the last number is a layer
            template = template.replace(f".{number}", f".{{{letter}}}", 1)
    stage = int(numbers[0]) if numbers else 0
    block = numbers[1] if len(numbers) > 1 else ""
    theirs, _, rows = layout.modules[template].partition("[")
    if "{leaf}" not in theirs:
        theirs += ".{leaf}"
    last = STAGES - 1 - stage
    key = theirs.format(i=stage, n=stage + 1, r=last, j=block, leaf=leaf)
    if not rows:
        return Source(key=key)
    part, parts = rows.rstrip("]").split("/")
    return Source(key=key, part=int(part), parts=int(parts))
