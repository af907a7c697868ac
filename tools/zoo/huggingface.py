"""Kinds that Hugging Face's transformers writes and judges, cut from the demo checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from zoo.kind import DEMO, SIZE, Kind, Mask, Photo

from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

Judge = Callable[[Photo], Mask]

NAMES = ("config.json", "preprocessor_config.json")
NOTHING: Mapping[str, object] = MappingProxyType({})


def load_demo(**config: object) -> Any:  # noqa: ANN401  # transformers has no types for it
    """Transformers' own model with the demo's weights, and some fields of its configuration."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    settings = SegformerConfig.from_pretrained(DEMO)
    settings.update(config)
    model = SegformerForSemanticSegmentation.from_pretrained(
        DEMO, config=settings, dtype=torch.float32
    )
    return model.eval().requires_grad_(requires_grad=False)


def copy_demo(
    folder: Path, *, config: Mapping[str, Any] = {}, rules: Mapping[str, Any] = {}
) -> Path:
    """The demo's folder, with other values in its two files."""
    shutil.copytree(DEMO, folder, dirs_exist_ok=True)
    sized = {"size": {"height": SIZE[0], "width": SIZE[1]}}
    for name, changes in zip(NAMES, (config, sized | rules), strict=True):
        path = folder / name
        content = json.loads(path.read_text()) | changes
        path.unlink()
        path.write_text(json.dumps(content))
    return folder


def judge_with(model: nn.Module, *, threshold: float = 0.5, **rules: object) -> Judge:
    """Judge by a model, and by transformers' image processor with these rules.

    One logit means the second of two classes above the threshold.
    """
    from transformers import SegformerImageProcessorPil

    sized = {"size": {"height": SIZE[0], "width": SIZE[1]}}
    processor = SegformerImageProcessorPil.from_pretrained(DEMO, **(sized | rules))

    @torch.inference_mode()
    def judge(photo: Photo) -> Mask:
        outputs = model(**processor(photo, return_tensors="pt"))
        logits = functional.interpolate(outputs.logits, photo.shape[:2], mode="bilinear")[0]
        ids = logits.argmax(0) if len(logits) > 1 else logits[0].sigmoid() > threshold
        return ids.numpy().astype(np.int64)

    return judge


def by_demo(photo: Photo) -> Mask:
    """The mask of the demo checkpoint itself."""
    return judge_with(load_demo())(photo)


def weights() -> dict[str, Tensor]:
    """The demo's weights under the names that its file has."""
    from safetensors.torch import load_file

    return {name: value.float() for name, value in load_file(DEMO / "model.safetensors").items()}


def save_pickle(name: str, content: Callable[[], Any]) -> Callable[[Path], Path]:
    """Save into a file of this name, with the demo's two JSON files beside it."""

    def make(folder: Path) -> Path:
        copy_demo(folder)
        (folder / "model.safetensors").unlink()
        torch.save(content(), folder / name)
        return folder / name

    return make


def _folder(**changes: Mapping[str, Any]) -> Callable[[Path], Path]:
    return lambda folder: copy_demo(folder, **changes)


def _save_pretrained(**options: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        copy_demo(folder)
        (folder / "model.safetensors").unlink()
        load_demo().save_pretrained(folder, **options)
        return folder

    return make


def _cast(dtype: torch.dtype) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from safetensors.torch import save_file

        copy_demo(folder)
        state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights().items()}
        (folder / "model.safetensors").unlink()
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return make


def _without(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        copy_demo(folder)
        (folder / name).unlink()
        return folder

    return make


def _rule(name: str, **rules: object) -> Kind:
    return Kind(
        name=f"preprocessor: {name}",
        make=_folder(rules=rules),
        judge=lambda photo: judge_with(load_demo(), **rules)(photo),
        judged_by="transformers",
    )


@torch.inference_mode()
def _by_torch(photo: Photo) -> Mask:
    """Torch's antialiased interpolation of bytes, which torchvision calls."""
    pixels = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].contiguous()
    small = functional.interpolate(pixels, SIZE, mode="bilinear", antialias=True)
    mean, std = (torch.tensor(one).reshape(-1, 1, 1) for one in (IMAGENET_MEAN, IMAGENET_STD))
    logits = load_demo()((small / 255 - mean) / std).logits
    full = functional.interpolate(logits, photo.shape[:2], mode="bilinear")
    return full[0].argmax(0).numpy().astype(np.int64)


def _describe(
    name: str,
    make: Callable[[Path], Path],
    judge: Judge = by_demo,
    options: Mapping[str, object] = NOTHING,
) -> Kind:
    return Kind(name=name, make=make, judge=judge, judged_by="transformers", options=dict(options))


def make_bf16_demo() -> nn.Module:
    """The demo with weights that bf16 holds."""
    model = load_demo()
    for value in (*model.parameters(), *model.buffers()):
        if value.is_floating_point():
            value.copy_(value.bfloat16().float())
    return model


KINDS = [
    _describe("folder of save_pretrained", _folder()),
    _describe(
        "state_dict() of transformers 5", save_pickle("w.pth", lambda: load_demo().state_dict())
    ),
    _describe("pytorch_model.bin", save_pickle("pytorch_model.bin", weights)),
    _describe("fp16", _cast(torch.float16)),
    _describe("bf16", _cast(torch.bfloat16), lambda photo: judge_with(make_bf16_demo())(photo)),
    _describe("float64", _cast(torch.float64)),
    _describe("sharded safetensors", _save_pretrained(max_shard_size="4MB")),
    *(
        _describe(
            f"config.json: {name}",
            _folder(config=config),
            lambda photo, config=config: judge_with(load_demo(**config))(photo),
        )
        for name, config in {
            "heads 1, 2, 4, 8": {"num_attention_heads": [1, 2, 4, 8]},
            "strides 4, 2, 2, 1": {"strides": [4, 2, 2, 1]},
        }.items()
    ),
    _describe(
        "no preprocessor_config.json",
        _without("preprocessor_config.json"),
        lambda photo: judge_with(load_demo())(photo),
        options={"size": SIZE},
    ),
    _rule("bicubic", resample=3),
    _rule("nearest", resample=0),
    _rule("no normalization", do_normalize=False),
    _rule("mean and std 0.5", image_mean=[0.5] * 3, image_std=[0.5] * 3),
    _rule("do_reduce_labels", do_reduce_labels=True),
    _rule("do_center_crop", do_center_crop=True, crop_size={"height": 128, "width": 128}),
    _rule("SegformerImageProcessorPil", image_processor_type="SegformerImageProcessorPil"),
    _describe(
        "preprocessor: SegformerFeatureExtractor, one side",
        _folder(
            rules={
                "feature_extractor_type": "SegformerFeatureExtractor",
                "image_processor_type": None,
                "reduce_labels": True,
                "size": 224,
            }
        ),
        lambda photo: judge_with(load_demo(), size={"height": 224, "width": 224})(photo),
    ),
    _describe(
        "preprocessor: shortest_edge, --size",
        _folder(rules={"size": {"shortest_edge": 192}}),
        options={"size": SIZE},
    ),
    Kind(
        name="preprocessor: shortest_edge",
        make=_folder(rules={"size": {"shortest_edge": 192}}),
        refusal="--size",
    ),
    Kind(
        name="preprocessor: SegformerImageProcessorFast",
        make=_folder(rules={"image_processor_type": "SegformerImageProcessorFast"}),
        judge=_by_torch,
        judged_by="transformers, resized as torchvision does",
        least=99.9,  # its pixels differ from Pillow's by rounding
    ),
    _rule("rescale 1/127.5, no normalization", rescale_factor=1 / 127.5, do_normalize=False),
]
