"""Shows an image to a network of any input size, window by window, and makes rows of its logits.

All windows of an image, with logits at about a quarter of its size, take a tenth of the memory of
its full logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from edgeseg.pixels import Bgr, Logits, Planes
from edgeseg.pixels.axis import align_corners, center_pixels
from edgeseg.pixels.windows import (
    Window,
    average_windows,
    copy_planes,
    list_windows,
    split_rows,
)
from edgeseg.spec import InputSpec, Upsampling

__all__ = ["Network", "View", "look_through"]


class Network(Protocol):
    """The network to measure: a bundle's or a checkpoint's."""

    @property
    def name(self) -> str:
        """The network's name in messages: `bundle street`, `checkpoint segformer_b0`."""

    @property
    def input(self) -> InputSpec:
        """The network's own way from a frame to its mask; a protocol takes the upsampling of it."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width, in pixels, of the only input that fits; None where any fits."""

    def logits(self, image: Bgr, /) -> Logits:
        """Compute the logits (1, classes, h, w) of an image that has the network's size already.

        `h` and `w` may be any. The next call may overwrite the result.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An image, in pixels, and the windows through which the network saw all of it."""

    height: int
    width: int
    windows: tuple[Window, ...]

    @property
    def classes(self) -> int:
        """The number of logits of a pixel."""
        return len(self.windows[0].planes)

    def rows(self, rows: range) -> Planes:
        """Make some rows of the logits at the image's size, (classes, rows, width)."""
        return average_windows(self.windows, rows, range(self.width))

    def all_rows(self) -> Planes:
        """Make the logits at the image's size, (classes, height, width)."""
        planes = np.empty((self.classes, self.height, self.width), np.float32)
        for block in split_rows(range(self.height), values=self.classes * self.width):
            planes[:, block.start : block.stop] = self.rows(block)
        return planes


def look_through(network: Network, image: Bgr, *, window_px: int, stride_px: int) -> View:
    """Show an image to a network, through windows of `window_px`, `stride_px` apart.

    Each window's logits are resized to the window.

    Raises:
        BackendError: a logit is NaN or plus infinity, as FP16 overflow makes them.
    """
    height, width = image.shape[:2]
    corners = network.input.upsampling is Upsampling.ALIGN_CORNERS
    find = align_corners if corners else center_pixels
    seen = []
    for rows, columns in product(
        list_windows(height, window_px=window_px, stride_px=stride_px),
        list_windows(width, window_px=window_px, stride_px=stride_px),
    ):
        part = image[rows.start : rows.stop, columns.start : columns.stop]
        planes = copy_planes(network.logits(np.ascontiguousarray(part)), network.name)
        down, across = find(len(rows), planes.shape[1]), find(len(columns), planes.shape[2])
        window = Window(rows=rows, columns=columns, planes=planes, down=down, across=across)
        seen.append(window)
    return View(height=height, width=width, windows=tuple(seen))
