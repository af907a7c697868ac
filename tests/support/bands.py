"""Networks of other than three channels, cut from trained weights, and their frameworks' masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from oracle import change, open_transformers, small_demo
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional

from edgeseg.demo import draw_scene
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

GRAY_MEAN, GRAY_STD = 0.45, 0.226

_FIRST = "segformer.encoder.patch_embeddings.0.proj.weight"


def gray_demo(folder: Path) -> Path:
    """The demo's checkpoint for an input of 96x128, whose first convolution is summed over RGB."""
    small_demo(folder)
    _replace_first(folder, lambda weight: weight.sum(1, keepdim=True))
    change(folder / "config.json", num_channels=1)
    change(folder / "preprocessor_config.json", image_mean=[GRAY_MEAN], image_std=[GRAY_STD])
    return folder


def turn_gray(frame: Bgr) -> Bgr:
    """A gray camera's frame of the same scene: Pillow's luma, three times."""
    gray = Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])).convert("L")
    return np.repeat(np.asarray(gray)[:, :, None], 3, axis=2)


@torch.inference_mode()
def gray_mask(folder: Path, frame: Bgr) -> ClassMap:
    """What transformers says of a gray camera's frame, with its own image processor."""
    model, processor = open_transformers(folder)
    pixels = processor(Image.fromarray(frame[:, :, 0].copy()), return_tensors="pt").pixel_values
    assert pixels.shape[1] == 1
    (mask,) = processor.post_process_semantic_segmentation(
        model(pixel_values=pixels), [frame.shape[:2]]
    )
    return mask.numpy().astype(np.uint8)


def band_demo(folder: Path, channels: int) -> Path:
    """The demo's checkpoint for images of `band_frame`: their bands share what the colors weigh."""
    small_demo(folder)
    mean, std = statistics(channels)
    _replace_first(folder, lambda weight: mix_bands(weight, channels))
    change(folder / "config.json", num_channels=channels)
    change(folder / "preprocessor_config.json", image_mean=mean, image_std=std)
    return folder


def mix_bands(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Turn the kernels of RGB into those of bands, whose shares differ: an exchange shows."""
    _, std = statistics(channels)
    shares = [0.7 if band + 3 < channels else 1.0 for band in range(3)] + [0.3] * (channels - 3)
    parts = [
        shares[band] * weight[:, band % 3] * (std[band] / IMAGENET_STD[band % 3])
        for band in range(channels)
    ]
    return torch.stack(parts, 1)


def statistics(channels: int) -> tuple[list[float], list[float]]:
    """The mean and std of each band."""
    bands = range(channels)
    mean = [IMAGENET_MEAN[band % 3] + 0.01 * band for band in bands]
    return mean, [IMAGENET_STD[band % 3] * (1 + 0.1 * band) for band in bands]


def band_frame(
    channels: int, *, height: int = 120, width: int = 160, seed: int = 11
) -> npt.NDArray[np.uint8]:
    """A street of so many bands, (H, W, C): its red, green and blue, each band brighter."""
    return to_bands(draw_scene(seed, 0, height=height, width=width).image[:, :, ::-1], channels)


def to_bands(rgb: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """Repeat the colors of an image, (H, W, 3), as so many bands."""
    bands = [
        np.clip(rgb[:, :, band % 3].astype(int) + 2.5 * band, 0, 255) for band in range(channels)
    ]
    return np.stack(bands, axis=2).astype(np.uint8)


@torch.inference_mode()
def band_mask(folder: Path, frame: npt.NDArray[np.uint8], size: tuple[int, int]) -> ClassMap:
    """What transformers' network says of a frame; the pixels go there band by band."""
    model, _ = open_transformers(folder)
    height, width = size
    bands = [
        np.asarray(Image.fromarray(band).resize((width, height), Image.Resampling.BILINEAR))
        for band in np.moveaxis(frame, 2, 0)
    ]
    mean, std = (torch.tensor(one).reshape(-1, 1, 1) for one in statistics(frame.shape[2]))
    pixels = (torch.from_numpy(np.stack(bands)).float() / 255 - mean) / std
    logits = model(pixel_values=pixels[None]).logits
    full = functional.interpolate(logits, frame.shape[:2], mode="bilinear", align_corners=False)
    return full.argmax(1)[0].numpy().astype(np.uint8)


def write_truth(
    root: Path, folder: Path, channels: int, *, first: int = 0, file: str = "{}.npy"
) -> Path:
    """Images of so many bands, with transformers' masks by an input of 96x128."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for seed in range(first, first + 10):
        frame = band_frame(channels, seed=seed)
        path = root / "images" / file.format(seed)
        if path.suffix == ".npy":
            np.save(path, frame)
        else:
            Image.fromarray(frame).save(path)
        mask = band_mask(folder, frame, (96, 128))
        Image.fromarray(mask).save(root / "masks" / f"{seed}.png")
    return root


def _replace_first(folder: Path, replace: Any) -> None:
    weights = load_file(folder / "model.safetensors")
    weights[_FIRST] = replace(weights[_FIRST]).contiguous()
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
