"""Kinds whose images do not have three channels."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from bands import band_mask, mix_bands, statistics, to_bands
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional
from zoo.huggingface import copy_demo
from zoo.kind import DEMO, SIZE, Kind, Mask, Photo, load_photo

from edgeseg.labels import get_known_labels

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


def _bands(channels: int, folder: Path) -> Path:
    return _write(folder, mix_bands(_first(), channels), *statistics(channels))


def _write_bands(channels: int, folder: Path) -> None:
    """Four cuts of the photograph as `.npy` files, with masks that nothing measures."""
    photo = to_bands(load_photo(), channels)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for index in range(4):
        np.save(folder / "images" / f"{index}.npy", photo[:, 40 * index : 40 * index + 200])
        Image.new("L", (200, len(photo))).save(folder / "masks" / f"{index}.png")
    classes = get_known_labels("camvid").classes
    (folder / "dataset.json").write_text(json.dumps({"classes": classes}))


def _judge_bands(channels: int, photo: Photo) -> Mask:
    """Transformers' network; its image processor takes no bands, so Pillow resizes each."""
    with tempfile.TemporaryDirectory() as made:
        return band_mask(_bands(channels, Path(made)), photo, SIZE)


KINDS = [
    *(
        Kind(
            name=f"num_channels={channels}, from .npy files",
            make=partial(_bands, channels),
            judge=partial(_judge_bands, channels),
            judged_by="transformers",
            data=partial(_write_bands, channels),
            prepare=partial(to_bands, channels=channels),
        )
        for channels in (2, 4, 5)
    ),
    Kind(
        name="num_channels=1, a gray camera's photograph",
        make=_gray,
        judge=_by_gray,
        judged_by="transformers",
        prepare=turn_gray,
    ),
]
