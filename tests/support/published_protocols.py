"""mmsegmentation's protocols, spelled out in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch.nn import functional

from edgeseg.pixels import Bgr, Logits
from edgeseg.spec import InputSpec, Upsampling
from edgeseg.verification.protocols import (
    PROTOCOLS,
    PUBLISHED,
    Settings,
)

# The published numbers, divided by 16: images of some tens of pixels are cut and rescaled as
# Cityscapes' are.
SMALL = Settings(long_px=128, window_px=64, stride_px=48)


RUN_HERE = PROTOCOLS[1:]


@dataclass(kw_only=True)
class Convolution:
    """A seeded network that gives logits at a quarter of any size, as SegFormer does."""

    classes: int = 6
    size: tuple[int, int] | None = None
    name: str = "bundle street"
    input: InputSpec = field(default_factory=lambda: InputSpec(height=64, width=64))
    inputs: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(4)
        self.weight = torch.randn(self.classes, 3, 7, 7, generator=generator)
        self.result: Logits | None = None

    def logits(self, image: Bgr, /) -> Logits:
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert self.size in (None, image.shape[:2])
        self.inputs.append(image.shape[:2])
        pixels = torch.from_numpy(image.astype(np.float32) / 255 - 0.5).permute(2, 0, 1)[None]
        logits = functional.conv2d(pixels, self.weight, stride=4, padding=3).numpy()
        if self.result is not None:
            self.result.fill(1e9)  # the promise: only the latest result is whole
        self.result = logits
        return logits


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    frame: tuple[int, int]  # height, width
    short_px: int


CASES = [
    Case(name="Cityscapes' shape", frame=(64, 128), short_px=64),
    Case(name="landscape, rescaled down", frame=(97, 131), short_px=64),
    Case(name="portrait, rescaled down", frame=(140, 83), short_px=64),
    Case(name="rescaled up", frame=(41, 50), short_px=64),
    Case(name="the long side limits", frame=(50, 301), short_px=64),
    Case(name="the long side limits a portrait", frame=(301, 50), short_px=64),
    Case(name="smaller than the window", frame=(31, 45), short_px=32),
    Case(name="square", frame=(90, 90), short_px=77),
    Case(name="larger than four windows", frame=(200, 240), short_px=120),
    Case(name="a side that is rounded half up", frame=(64, 99), short_px=32),  # 49.5
]


def _literal(
    protocol: str,
    network: Convolution,
    frame: Bgr,
    short_px: int,
    settings: Settings = PUBLISHED,
) -> torch.Tensor:
    """What mmsegmentation compares at each pixel, (classes, H, W), the straightforward way.

    Logits for one view, else probabilities: their argmax is the mask.
    """
    slides = protocol.startswith("slide")
    if not protocol.endswith("ms-flip"):
        return _infer(network, frame, (settings.long_px, short_px), slides, settings)
    total = torch.zeros(())
    for ratio in settings.ratios:
        scale = (int(settings.long_px * ratio), int(short_px * ratio))
        plain = _infer(network, frame, scale, slides, settings)
        total = total + plain.softmax(dim=0)
        mirrored = _infer(network, frame, scale, slides, settings, flip=True)
        total = total + mirrored.softmax(dim=0).flip(dims=(2,))
    return total / (2 * len(settings.ratios))


def _infer(
    network: Convolution,
    frame: Bgr,
    scale: tuple[int, int],
    slides: bool,
    settings: Settings,
    *,
    flip: bool = False,
) -> torch.Tensor:
    height, width = frame.shape[:2]
    factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
    size = (int(width * factor + 0.5), int(height * factor + 0.5))
    image = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    if flip:
        image = np.flip(image, axis=1)
    logits = _slide(network, image, settings) if slides else _encode_decode(network, image)
    return functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)[0]


def _encode_decode(network: Convolution, image: Bgr) -> torch.Tensor:
    logits = torch.from_numpy(network.logits(np.ascontiguousarray(image)).copy())
    corners = network.input.upsampling is Upsampling.ALIGN_CORNERS
    return functional.interpolate(logits, image.shape[:2], mode="bilinear", align_corners=corners)


def _slide(network: Convolution, image: Bgr, settings: Settings) -> torch.Tensor:
    height, width = image.shape[:2]
    total = torch.zeros(1, network.classes, height, width)
    count = torch.zeros(height, width)
    for top in _starts(height, settings):
        for left in _starts(width, settings):
            down = slice(top, top + settings.window_px)
            across = slice(left, left + settings.window_px)
            total[:, :, down, across] += _encode_decode(network, image[down, across])
            count[down, across] += 1
    return total / count


def _starts(length: int, settings: Settings) -> Iterator[int]:
    """A window is moved on until one reaches the end."""
    start = 0
    while start + settings.window_px < length:
        yield start
        start += settings.stride_px
    yield max(length - settings.window_px, 0)


def _photo(height: int, width: int) -> Bgr:
    """Blobs of all sizes, as the classes of a real image have."""
    generator = np.random.default_rng(height * 1000 + width)
    image = np.zeros((height, width, 3), np.float32)
    for cells in (2, 5, 12, 30):
        noise = generator.normal(size=(cells, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(127 + 50 * image, 0, 255).astype(np.uint8)


def _assert_equal_but_for_ties(mask: np.ndarray, scores: torch.Tensor) -> None:
    """Pixels may differ only where rounding decides: the two best scores are 1e-5 apart at most.

    Logits here reach 13, through two steps of float32.
    """
    assert mask.shape == tuple(scores.shape[1:])
    differs = mask != scores.argmax(dim=0).numpy()
    best, second = scores.topk(2, dim=0).values.numpy()
    assert (best - second)[differs].max(initial=0) <= 1e-5
