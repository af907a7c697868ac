"""Kinds of NVlabs, mmsegmentation, NVIDIA TAO and segmentation_models_pytorch.

The demo's weights have those frameworks' names here. segmentation_models_pytorch judges its own
kinds, in a folder of packages that the zoo installs. The other frameworks' code cannot be installed
beside today's PyTorch: tests/support/literal.py spells their networks out from their sources.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from literal import mmseg_logits, nvlabs_logits, tao_logits
from PIL import Image
from renamed import nvlabs_state, smp_folder, smp_state, tao_file, tao_state
from smp_oracle import FAILURE, Smp, install_smp
from torch import Tensor
from torch.nn import functional
from zoo.huggingface import load_demo
from zoo.kind import SIZE, Kind, Mask, NotJudgedError, Photo

from edgeseg.labels import get_known_labels

State = dict[str, Tensor]
Rules = tuple[tuple[float, ...], tuple[float, ...]]
Network = Callable[[State, Tensor], Tensor]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
BYTES = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

# What mmsegmentation 1.x writes into `meta`, as far as it changes a mask.
MMSEG_1 = """
crop_size = ({height}, {width})
data_preprocessor = dict(
    type='SegDataPreProcessor', mean={mean}, std={std}, bgr_to_rgb={turned}, size=crop_size)
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='MixVisionTransformer', num_heads=[1, 2, 5, 8], embed_dims=32),
    decode_head=dict(type='SegformerHead', num_classes={classes}, align_corners=False, {head}),
    test_cfg=dict(mode='whole'))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=({width}, {height}), keep_ratio=False),
    dict(type='PackSegInputs')]
"""

# What mmsegmentation 0.x writes there.
MMSEG_0 = """
img_norm_cfg = dict(mean={mean}, std={std}, to_rgb=True)
crop_size = ({height}, {width})
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='MixVisionTransformer', embed_dims=32, num_heads=[1, 2, 5, 8]),
    decode_head=dict(
        type='SegformerHead', in_channels=[32, 64, 160, 256], channels=256, num_classes=11,
        align_corners=False),
    test_cfg=dict(mode='whole'))
data = dict(test=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug', img_scale=({width}, {height}), flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=False),
            dict(type='RandomFlip'),
            dict(type='Normalize', mean={mean}, std={std}, to_rgb=True),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img'])])]))
"""


def mmseg_state() -> State:
    """The demo's weights under mmsegmentation's names; BatchNorm holds the projections' biases."""
    theirs = {name: value.float() for name, value in load_demo().state_dict().items()}
    state: State = {}
    for stage in range(4):
        source, layer = f"segformer.stages.{stage}", f"backbone.layers.{stage}"
        pairs = {
            f"{layer}.0.projection": f"{source}.patch_embeddings.proj",
            f"{layer}.0.norm": f"{source}.patch_embeddings.layer_norm",
            f"{layer}.2": f"{source}.layer_norm",
        }
        for block in range(2):
            pairs |= _name_block(f"{source}.blocks.{block}", f"{layer}.1.{block}", stage)
            for leaf in ("weight", "bias"):
                state[f"{layer}.1.{block}.attn.attn.in_proj_{leaf}"] = torch.cat(
                    [theirs[f"{source}.blocks.{block}.attention.{x}_proj.{leaf}"] for x in "qkv"]
                )
        for ours, name in pairs.items():
            for leaf in ("weight", "bias"):
                state[f"{ours}.{leaf}"] = theirs[f"{name}.{leaf}"]
        for name in (f"{layer}.1.{j}.ffn.layers.{k}.weight" for j in range(2) for k in (0, 4)):
            state[name] = state[name][:, :, None, None]
        projection = f"decode_head.linear_projections.{stage}.proj"
        state[f"decode_head.convs.{stage}.conv.weight"] = theirs[f"{projection}.weight"][
            :, :, None, None
        ]
        state |= _hold_bias(f"decode_head.convs.{stage}.bn", theirs[f"{projection}.bias"])
    return state | _name_head(theirs)


def _name_block(source: str, block: str, stage: int) -> dict[str, str]:
    names = {
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.attn.out_proj": "attention.o_proj",
        "ffn.layers.0": "mlp.fc1",
        "ffn.layers.1": "mlp.dwconv.dwconv",
        "ffn.layers.4": "mlp.fc2",
    }
    if stage < 3:
        names["attn.sr"] = "attention.sequence_reduction.sequence_reduction"
        names["attn.norm"] = "attention.sequence_reduction.layer_norm"
    return {f"{block}.{ours}": f"{source}.{theirs}" for ours, theirs in names.items()}


def _hold_bias(name: str, bias: Tensor) -> State:
    """A BatchNorm that adds a bias, and nothing else."""
    return {
        f"{name}.weight": torch.ones_like(bias),
        f"{name}.bias": bias,
        f"{name}.running_mean": torch.zeros_like(bias),
        f"{name}.running_var": torch.ones_like(bias) - 1e-5,
        f"{name}.num_batches_tracked": torch.tensor(1),
    }


def _name_head(theirs: State) -> State:
    coarsest_first = theirs["decode_head.linear_fuse.weight"].chunk(4, dim=1)
    state = {"decode_head.fusion_conv.conv.weight": torch.cat(coarsest_first[::-1], dim=1)}
    for leaf in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        state[f"decode_head.fusion_conv.bn.{leaf}"] = theirs[f"decode_head.batch_norm.{leaf}"]
    for leaf in ("weight", "bias"):
        state[f"decode_head.conv_seg.{leaf}"] = theirs[f"decode_head.classifier.{leaf}"]
    return state


def judge_logits(
    network: Network,
    state: Callable[[], State],
    resize: Callable[[Photo], Photo],
    rules: Rules,
    *,
    decide: Callable[[Tensor], Tensor] = lambda logits: logits.argmax(0),
) -> Callable[[Photo], Mask]:
    """Judge by a spelled-out network: resize, normalize, logits at the photograph's size."""
    mean, std = (np.array(one, np.float32) for one in rules)

    @torch.inference_mode()
    def judge(photo: Photo) -> Mask:
        values = (resize(photo).astype(np.float32) / 255 - mean) / std
        image = torch.from_numpy(values.transpose(2, 0, 1).copy())[None]
        logits = network(state(), image)
        full = functional.interpolate(logits, photo.shape[:2], mode="bilinear")
        return decide(full[0]).numpy().astype(np.int64)

    return judge


def by_opencv(photo: Photo) -> Photo:
    """OpenCV's bilinear rule, as mmcv resizes; the photograph has the input's aspect."""
    return np.asarray(cv2.resize(photo, SIZE[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def by_bicubic(photo: Photo) -> Photo:
    """Pillow's bicubic rule, as TAO resizes."""
    return np.asarray(Image.fromarray(photo).resize(SIZE[::-1], Image.Resampling.BICUBIC))


@cache
def _open_smp() -> Smp:
    folder = Path(tempfile.mkdtemp())
    install_smp(folder)
    if (folder / FAILURE).exists():
        raise NotJudgedError((folder / FAILURE).read_text())
    return Smp(folder)


def run_smp(make: Callable[[Path], Path], photo: Photo) -> Mask:
    """Run the model in a folder of save_pretrained in segmentation_models_pytorch itself."""
    with tempfile.TemporaryDirectory() as folder:
        saved = make(Path(folder))
        frame = np.ascontiguousarray(photo[:, :, ::-1])
        (mask,) = _open_smp().masks(saved, frame, height=SIZE[0], width=SIZE[1])
        return mask


def by_smp(photo: Photo) -> Mask:
    """The mask of the demo's weights in segmentation_models_pytorch."""
    return run_smp(lambda folder: smp_folder(folder / "saved"), photo)


def _save(name: str, content: Callable[[], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        torch.save(content(), folder / name)
        return folder / name

    return make


def describe_mmseg(*, classes: int = 11, head: str = "", turned: bool = True) -> str:
    """The text of a training configuration; `head` is more of the decoder's arguments.

    Images that are not `turned` stay in the order of OpenCV, BGR, and so do their statistics.
    """
    mean, std = (list(one if turned else one[::-1]) for one in BYTES)
    return MMSEG_1.format(
        height=SIZE[0],
        width=SIZE[1],
        mean=mean,
        std=std,
        classes=classes,
        head=head,
        turned=turned,
    )


def _mmseg_0() -> object:
    mean, std = (list(one) for one in BYTES)
    text = MMSEG_0.format(height=SIZE[0], width=SIZE[1], mean=mean, std=std)
    labels = get_known_labels("camvid")
    meta = {
        "mmcv_version": "1.7.2",
        "config": text,
        "CLASSES": labels.classes,
        "PALETTE": [list(color) for color in labels.palette],
    }
    return {"meta": meta, "state_dict": mmseg_state(), "optimizer": {}}


def _bgr_state() -> State:
    """The demo's weights as if they were trained on BGR."""
    state, first = mmseg_state(), "backbone.layers.0.0.projection.weight"
    return state | {first: state[first].flip(1)}


def _mmseg_bgr() -> object:
    return {"meta": {"cfg": describe_mmseg(turned=False)}, "state_dict": _bgr_state()}


def _mmseg_1() -> object:
    return {"meta": {"cfg": describe_mmseg(), "epoch": 3}, "state_dict": mmseg_state()}


SIZED = {"size": SIZE}
LITERAL = "its network spelled out"
BY_NVLABS = judge_logits(nvlabs_logits, nvlabs_state, by_opencv, IMAGENET)
BY_MMSEG = judge_logits(mmseg_logits, mmseg_state, by_opencv, IMAGENET)

KINDS = [
    Kind(
        name="NVlabs .pth",
        make=_save("w.pth", lambda: {"state_dict": nvlabs_state(), "meta": {}}),
        judge=BY_NVLABS,
        judged_by=LITERAL,
        options=SIZED,
    ),
    Kind(
        name="mmsegmentation .pth without meta",
        make=_save("w.pth", lambda: {"state_dict": mmseg_state(), "meta": {}}),
        judge=BY_MMSEG,
        judged_by=LITERAL,
        options=SIZED,
    ),
    Kind(
        name="mmsegmentation 1.x with its configuration",
        make=_save("w.pth", _mmseg_1),
        judge=BY_MMSEG,
        judged_by=LITERAL,
    ),
    Kind(
        name="mmsegmentation 0.x with config, CLASSES and PALETTE",
        make=_save("w.pth", _mmseg_0),
        judge=BY_MMSEG,
        judged_by=LITERAL,
    ),
    Kind(
        name="mmsegmentation 1.x, bgr_to_rgb=False",
        make=_save("w.pth", _mmseg_bgr),
        judge=judge_logits(
            mmseg_logits,
            _bgr_state,
            lambda photo: by_opencv(photo)[:, :, ::-1],
            (IMAGENET[0][::-1], IMAGENET[1][::-1]),
        ),
        judged_by=LITERAL,
    ),
    Kind(
        name="NVIDIA TAO .pth",
        make=lambda folder: tao_file(folder / "segformer_model_latest.pth"),
        judge=judge_logits(tao_logits, tao_state, by_bicubic, HALVES),
        judged_by=LITERAL,
        options=SIZED,
    ),
    Kind(
        name="smp state_dict",
        make=_save("w.pth", smp_state),
        judge=by_smp,
        judged_by="segmentation_models_pytorch",
        options=SIZED,
    ),
    Kind(
        name="smp save_pretrained",
        make=lambda folder: smp_folder(folder / "saved"),
        judge=by_smp,
        judged_by="segmentation_models_pytorch",
        options=SIZED,
    ),
    Kind(
        name="smp in Lightning",
        make=_save(
            "last.ckpt",
            lambda: {
                "state_dict": {f"model.{name}": value for name, value in smp_state().items()},
                "pytorch-lightning_version": "2.4.0",
                "epoch": 3,
            },
        ),
        judge=by_smp,
        judged_by="segmentation_models_pytorch",
        options=SIZED,
    ),
    Kind(
        name="smp with a ResNet encoder",
        make=_save(
            "w.pth",
            lambda: (
                {name: value for name, value in smp_state().items() if "encoder" not in name}
                | {"encoder.conv1.weight": torch.zeros(64, 3, 7, 7)}
            ),
        ),
        refusal="mit_b0 to mit_b5",
    ),
]
