"""Kinds with one logit for each pixel: road, or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from literal import mmseg_logits
from renamed import smp_folder, smp_state
from safetensors.torch import save_file
from torch import Tensor, nn
from zoo.frameworks import (
    IMAGENET,
    LITERAL,
    SIZED,
    by_opencv,
    describe_mmseg,
    judge_logits,
    mmseg_state,
    run_smp,
)
from zoo.huggingface import copy_demo, judge_with, load_demo
from zoo.kind import Kind, Mask, Photo

from edgeseg.demo import draw_scene
from edgeseg.overrides import Overrides

ROAD = 3


def to_one_logit(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """A class's logit against the mean of all, as one row."""
    return (
        weight[ROAD : ROAD + 1] - weight.mean(0, keepdim=True),
        bias[ROAD : ROAD + 1] - bias.mean(0, keepdim=True),
    )


def load_binary_demo() -> nn.Module:
    """Transformers' model with num_labels=1."""
    model = load_demo()
    old = model.decode_head.classifier
    new = nn.Conv2d(old.in_channels, 1, 1)
    new.requires_grad_(requires_grad=False)
    weight, bias = to_one_logit(old.weight, old.bias)
    new.weight.copy_(weight)
    new.bias.copy_(bias)
    model.decode_head.classifier = new
    model.config.id2label = {0: "road"}
    model.config.label2id = {"road": 0}
    return model


def _huggingface(folder: Path) -> Path:
    copy_demo(folder)
    (folder / "model.safetensors").unlink()
    load_binary_demo().save_pretrained(folder)
    return folder


def _mmseg_state() -> dict[str, Tensor]:
    state = mmseg_state()
    head = "decode_head.conv_seg"
    state[f"{head}.weight"], state[f"{head}.bias"] = to_one_logit(
        state[f"{head}.weight"], state[f"{head}.bias"]
    )
    return state


def _mmseg(folder: Path) -> Path:
    text = describe_mmseg(classes=2, head="out_channels=1")
    meta = {"cfg": text, "dataset_meta": {"classes": ("other", "road")}}
    torch.save({"meta": meta, "state_dict": _mmseg_state()}, folder / "w.pth")
    return folder / "w.pth"


def _smp(folder: Path) -> Path:
    saved = smp_folder(folder / "saved", classes=1)
    state, head = smp_state(), "segmentation_head.0"
    state[f"{head}.weight"], state[f"{head}.bias"] = to_one_logit(
        state[f"{head}.weight"], state[f"{head}.bias"]
    )
    (saved / "model.safetensors").unlink()
    save_file(state, saved / "model.safetensors")
    return saved


def _above(threshold: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: logits[0] > math.log(threshold / (1 - threshold))


def _by_demo(threshold: float) -> Callable[[Photo], Mask]:
    return lambda photo: judge_with(load_binary_demo(), threshold=threshold)(photo)


def draw_roads() -> list[tuple[Photo, Mask]]:
    """Drawn streets, whose truth is 1 on the road and 0 elsewhere."""
    scenes = [draw_scene(seed, 0, height=240, width=320) for seed in range(901, 905)]
    return [(scene.image[:, :, ::-1].copy(), (scene.mask == ROAD).astype(int)) for scene in scenes]


KINDS = [
    Kind(
        name="num_labels=1",
        make=_huggingface,
        judge=_by_demo(0.5),
        judged_by="transformers",
        truth=draw_roads,
    ),
    Kind(
        name="num_labels=1, --threshold 0.8",
        make=_huggingface,
        judge=_by_demo(0.8),
        judged_by="transformers",
        truth=draw_roads,
        options={"overrides": Overrides(threshold=0.8)},
    ),
    Kind(
        name="mmsegmentation, out_channels=1 (threshold 0.3)",
        make=_mmseg,
        judge=judge_logits(mmseg_logits, _mmseg_state, by_opencv, IMAGENET, decide=_above(0.3)),
        judged_by=LITERAL,
    ),
    Kind(
        name="smp, classes=1",
        make=_smp,
        judge=lambda photo: run_smp(_smp, photo),
        judged_by="segmentation_models_pytorch",
        options=SIZED,
    ),
]
