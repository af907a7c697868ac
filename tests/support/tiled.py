"""A small network, photographs, and the mean logits of windows that are all in memory."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from edgeseg.pixels import Bgr, Logits, to_input
from edgeseg.spec import InputSpec, Upsampling


class Network:
    """A seeded convolution of one input size, with logits at a quarter of it."""

    def __init__(self, spec: InputSpec, classes: int = 6) -> None:
        self.spec = spec
        self.inputs: list[Bgr] = []
        generator = torch.Generator().manual_seed(4)
        self.weight = torch.randn(classes, spec.channels, 7, 7, generator=generator)

    def look(self, part: Bgr) -> Logits:
        image = to_input(part, self.spec)[0]
        assert image.shape[:2] == (self.spec.height, self.spec.width)
        self.inputs.append(image)
        pixels = torch.from_numpy(image.astype(np.float32) / 255 - 0.5).permute(2, 0, 1)[None]
        return functional.conv2d(pixels, self.weight, stride=4, padding=3).numpy()


def draw_photo(height: int, width: int, channels: int = 3) -> Bgr:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    image = torch.zeros(1, channels, height, width)
    for cells in (3, 9, 25):
        noise = torch.randn(1, channels, cells, cells, generator=generator)
        image += functional.interpolate(noise, (height, width), mode="bicubic")
    return (127 + 50 * image[0].permute(1, 2, 0)).clamp(0, 255).numpy().astype(np.uint8)


def _starts(length: int, side: int) -> list[int]:
    """Each a stride on, until one reaches the end; the last one is moved back."""
    stride, start, found = int(side * 0.75), 0, []
    while start + side < length:
        found.append(start)
        start += stride
    return [*found, max(length - side, 0)]


def mean_logits(network: Network, frame: Bgr) -> torch.Tensor:
    """The mean logits (classes, H, W), of windows that are all in memory, in PyTorch."""
    spec, (height, width) = network.spec, frame.shape[:2]
    corners = spec.upsampling is Upsampling.ALIGN_CORNERS
    total = torch.zeros(len(network.weight), height, width)
    count = torch.zeros(height, width)
    for top in _starts(height, spec.height):
        for left in _starts(width, spec.width):
            down, across = slice(top, top + spec.height), slice(left, left + spec.width)
            logits = torch.from_numpy(network.look(frame[down, across]))
            total[:, down, across] += functional.interpolate(
                logits, (spec.height, spec.width), mode="bilinear", align_corners=corners
            )[0]
            count[down, across] += 1
    return total / count
