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


def _refuse(name: str, make: Callable[[Path], Path], says: str) -> Kind:
    return Kind(name=name, make=make, refusal=says)


KINDS = [
    _refuse("quantized by torch", save_pickle("w.pth", _quantized), "quantized already"),
    _refuse(
        "quantization_config in config.json",
        _folder(quantization_config={"quant_method": "bitsandbytes"}),
        "quantized already",
    ),
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
        "another network under SegFormer's config.json",
        save_pickle("pytorch_model.bin", lambda: nn.Sequential(nn.Conv2d(3, 8, 3)).state_dict()),
        "unknown layout",
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
