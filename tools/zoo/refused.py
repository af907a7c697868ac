"""Kinds that edgeseg refuses, each in a sentence that helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from zoo.huggingface import copy_demo, load_demo, save_pickle, weights
from zoo.kind import Kind


def _file(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(b"\x00" * 64)
        return folder / name

    return make


def _quantized() -> object:
    return torch.ao.quantization.quantize_dynamic(
        load_demo(), {nn.Linear}, torch.qint8
    ).state_dict()


def _folder(**config: object) -> Callable[[Path], Path]:
    return lambda folder: copy_demo(folder, config=config)


def _holding(content: bytes) -> Callable[[Path], Path]:
    """A folder whose model.safetensors is something else."""

    def make(folder: Path) -> Path:
        copy_demo(folder)
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").write_bytes(content)
        return folder

    return make


def _cut(folder: Path) -> Path:
    copy_demo(folder)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    return folder


def _packed(**leaves: torch.Tensor) -> Callable[[], object]:
    """The demo's weights, of which one has the names and types of a library that quantizes."""

    def pack() -> object:
        state: dict[str, torch.Tensor] = dict(weights())
        layer = "segformer.encoder.block.0.0.attention.self.query"
        state.pop(f"{layer}.weight")
        return state | {f"{layer}.{name.replace('__', '.')}": one for name, one in leaves.items()}

    return pack


def _save_other(name: str, **fields: object) -> Callable[[Path], Path]:
    """Another network of transformers, with random weights, in its own folder."""

    def make(folder: Path) -> Path:
        import transformers

        config = getattr(transformers, f"{name.partition('For')[0]}Config")(**fields)
        getattr(transformers, name)(config).save_pretrained(folder)
        return folder

    return make


def _under_segformers_config(folder: Path) -> Path:
    """A real network that segments, with the configuration of SegFormer beside it."""
    other = _save_other("MobileNetV2ForSemanticSegmentation")(folder / "other")
    copy_demo(folder)
    (folder / "model.safetensors").unlink()
    (other / "model.safetensors").rename(folder / "model.safetensors")
    return folder


def _optimizer() -> object:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 14895616\n"
BYTE = torch.ones(2, dtype=torch.int8)


def _refuse(name: str, make: Callable[[Path], Path], says: str) -> Kind:
    return Kind(name=name, make=make, refusal=says)


KINDS = [
    _refuse("quantized by torch", save_pickle("w.pth", _quantized), "quantized already"),
    _refuse(
        "quantization_config in config.json",
        _folder(quantization_config={"quant_method": "bitsandbytes"}),
        "quantized already",
    ),
    *(
        _refuse(
            f"quantized by {name}", save_pickle("w.pth", _packed(**leaves)), "quantized already"
        )
        for name, leaves in {
            "torchao": {"weight_qdata": BYTE, "weight_scale": torch.ones(2)},
            "quanto": {"weight___data": BYTE, "weight___scale": torch.ones(2)},
            "bitsandbytes": {"weight": BYTE.byte(), "weight__absmax": torch.ones(2)},
        }.items()
    ),
    _refuse("a pointer of Git LFS", _holding(POINTER), "git lfs pull"),
    _refuse("a web page", _holding(b"<!DOCTYPE html><html></html>"), "web page"),
    _refuse("HDF5 under another name", _holding(b"\x89HDF\r\n\x1a\n" + bytes(64)), "HDF5"),
    _refuse("an empty file", _holding(b""), "empty file"),
    _refuse("a file cut in half", _cut, "cut off"),
    _refuse("an optimizer's state", save_pickle("optimizer.pt", _optimizer), "optimizer's state"),
    _refuse(
        "NumPy arrays",
        save_pickle("w.pth", lambda: {name: one.numpy() for name, one in weights().items()}),
        "NumPy arrays",
    ),
    _refuse("a ResNet", _save_other("ResNetForImageClassification", depths=[1] * 4), "'resnet'"),
    _refuse("TensorFlow", _file("tf_model.h5"), "TensorFlow"),
    _refuse("Keras", _file("segformer.keras"), "Keras"),
    _refuse("PaddlePaddle", _file("model.pdparams"), "PaddlePaddle"),
    _refuse("Flax", _file("flax_model.msgpack"), "Flax"),
    _refuse("ONNX", _file("model.onnx"), "ONNX"),
    _refuse(
        "a classification backbone",
        save_pickle("w.pth", lambda: {k: v for k, v in weights().items() if "decode" not in k}),
        "classification backbone",
    ),
    _refuse(
        "MobileNetV2 under SegFormer's config.json",
        _under_segformers_config,
        "is of other weights",
    ),
    _refuse("hidden_act relu", _folder(hidden_act="relu"), "hidden_act"),
    _refuse("code of its own (auto_map)", _folder(auto_map={"AutoModel": "x.Y"}), "auto_map"),
    Kind(
        name="an input of 16x16",
        make=_folder(),
        refusal="at least 32x32",
        options={"size": (16, 16)},
    ),
]
