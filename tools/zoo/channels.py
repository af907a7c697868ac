"""Kinds whose images do not have three channels."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional
from zoo.huggingface import copy_demo
from zoo.kind import DEMO, SIZE, Kind, Mask, Photo, load_photo

from edgeseg.labels import get_known_labels
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

FIRST = "segformer.encoder.patch_embeddings.0.proj.weight"
GRAY = ([0.45], [0.226])


def _write(folder: Path, weight: torch.Tensor, mean: list[float], std: list[float]) -> Path:
    """The demo with another first convolution, and statistics for its channels."""
    copy_demo(
        folder,
        config={"num_channels": weight.shape[1]},
        rules={"image_mean": mean, "image_std": std},
    )
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save_file(state | {FIRST: weight.contiguous()}, folder / "model.safetensors")
    return folder


def _first() -> torch.Tensor:
    weight: torch.Tensor = load_file(DEMO / "model.safetensors")[FIRST].float()
    return weight


def _gray(folder: Path) -> Path:
    return _write(folder, _first().sum(1, keepdim=True), *GRAY)


def turn_gray(photo: Photo) -> Photo:
    """What a gray camera gives: Pillow's luma, three times."""
    return np.repeat(np.asarray(Image.fromarray(photo).convert("L"))[:, :, None], 3, axis=2)


@torch.inference_mode()
def _by_gray(photo: Photo) -> Mask:
    """Transformers with one channel, and its own image processor."""
    from transformers import SegformerForSemanticSegmentation, SegformerImageProcessorPil

    with tempfile.TemporaryDirectory() as made:
        folder = _gray(Path(made))
        model = SegformerForSemanticSegmentation.from_pretrained(folder, dtype=torch.float32)
        processor = SegformerImageProcessorPil.from_pretrained(folder)
    outputs = model.eval()(**processor(Image.fromarray(photo[:, :, 0]), return_tensors="pt"))
    full = functional.interpolate(outputs.logits, photo.shape[:2], mode="bilinear")
    return full[0].argmax(0).numpy().astype(np.int64)


def _bands(folder: Path) -> Path:
    """Red, green, blue, and a fourth band that is half red and half green."""
    first = _first()
    fourth = 0.5 * (first[:, :1] * IMAGENET_STD[0] + first[:, 1:2] * IMAGENET_STD[1]) / 0.25
    mean, std = [*IMAGENET_MEAN, 0.5], [*IMAGENET_STD, 0.25]
    return _write(folder, torch.cat([first, fourth], dim=1), mean, std)


def add_band(photo: Photo) -> Photo:
    """Red, green, blue, and their mean."""
    return np.dstack([photo, photo.mean(2).round().astype(np.uint8)])


def _write_bands(folder: Path) -> None:
    """Four cuts of the photograph as `.npy` files, with masks that nothing measures."""
    photo = add_band(load_photo())
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for index in range(4):
        np.save(folder / "images" / f"{index}.npy", photo[:, 40 * index : 40 * index + 200])
        Image.new("L", (200, len(photo))).save(folder / "masks" / f"{index}.png")
    classes = get_known_labels("camvid").classes
    (folder / "dataset.json").write_text(json.dumps({"classes": classes}))


@torch.inference_mode()
def _by_bands(photo: Photo) -> Mask:
    """Transformers' network; its image processor takes no four channels, so Pillow resizes each."""
    from transformers import SegformerForSemanticSegmentation

    with tempfile.TemporaryDirectory() as made:
        model = SegformerForSemanticSegmentation.from_pretrained(
            _bands(Path(made)), dtype=torch.float32
        )
    bands = [
        np.asarray(Image.fromarray(band).resize(SIZE[::-1], Image.Resampling.BILINEAR))
        for band in np.moveaxis(photo, 2, 0)
    ]
    mean, std = np.array([*IMAGENET_MEAN, 0.5]), np.array([*IMAGENET_STD, 0.25])
    values = (np.stack(bands, axis=2) / 255 - mean) / std
    image = torch.from_numpy(values.astype(np.float32).transpose(2, 0, 1))[None]
    full = functional.interpolate(model.eval()(image).logits, photo.shape[:2], mode="bilinear")
    return full[0].argmax(0).numpy().astype(np.int64)


KINDS = [
    Kind(
        name="num_channels=4, from .npy files",
        make=_bands,
        judge=_by_bands,
        judged_by="transformers",
        data=_write_bands,
        prepare=add_band,
    ),
    Kind(
        name="num_channels=1, a gray camera's photograph",
        make=_gray,
        judge=_by_gray,
        judged_by="transformers",
        prepare=turn_gray,
    ),
]
