"""Shows an image to a network window by window, and makes any rows of the image's logits.

Logits are kept as the network gives them, at about a quarter of the image's size. All windows of an
image then take a tenth of the memory of its full logits. Rows at the image's own size are made when
they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final, Protocol

import numpy as np

from edgeseg.errors import BackendError
from edgeseg.pixels import Bgr, Logits, Planes, resize_logits
from edgeseg.spec import InputSpec, Upsampling

__all__ = ["Network", "View", "Window", "look_through", "split_rows", "list_windows"]

# Values worked on at a time, 2 MB in float32. Smaller blocks resize more rows twice; larger ones do
# not fit the cache. Of 2^18 to 2^22 this was the fastest, with 19 and with 150 classes.
_BLOCK_VALUES: Final = 1 << 19

# Replaces minus infinity, which a blend's weight of zero would make NaN. The value is lower than
# any trained logit, and a sum of several stays finite.
_SWITCHED_OFF: Final = np.float32(-1e30)


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
class Window:
    """A part of an image, in pixels, and the network's logits of that part, at any size."""

    rows: range
    columns: range
    planes: Planes


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An image, in pixels, and the windows through which the network saw all of it."""

    height: int
    width: int
    windows: tuple[Window, ...]
    upsampling: Upsampling

    @property
    def classes(self) -> int:
        """The number of logits of a pixel."""
        return len(self.windows[0].planes)

    def rows(self, rows: range) -> Planes:
        """Make some rows of the logits at the image's size, (classes, rows, width).

        Each window's logits are resized to the window. Where several windows see a pixel, their
        logits are averaged.
        """
        total = np.zeros((self.classes, len(rows), self.width), np.float32)
        count = np.zeros((len(rows), self.width), np.float32)
        for window in self.windows:
            top = window.rows.start
            seen = range(max(rows.start, top), min(rows.stop, window.rows.stop))
            if not seen:
                continue
            down = slice(seen.start - rows.start, seen.stop - rows.start)
            across = slice(window.columns.start, window.columns.stop)
            total[:, down, across] += resize_logits(
                window.planes,
                height=len(window.rows),
                width=len(window.columns),
                rows=range(seen.start - top, seen.stop - top),
                upsampling=self.upsampling,
            )
            count[down, across] += 1
        total /= count
        return total

    def all_rows(self) -> Planes:
        """Make the logits at the image's size, (classes, height, width)."""
        planes = np.empty((self.classes, self.height, self.width), np.float32)
        for block in split_rows(planes):
            planes[:, block.start : block.stop] = self.rows(block)
        return planes


def look_through(network: Network, image: Bgr, *, window_px: int, stride_px: int) -> View:
    """Show an image to a network, through windows of `window_px`, `stride_px` apart.

    Raises:
        BackendError: a logit is NaN or plus infinity, as FP16 overflow makes them.
    """
    height, width = image.shape[:2]
    seen = []
    for rows, columns in product(
        list_windows(height, window_px=window_px, stride_px=stride_px),
        list_windows(width, window_px=window_px, stride_px=stride_px),
    ):
        part = image[rows.start : rows.stop, columns.start : columns.stop]
        planes = np.maximum(network.logits(np.ascontiguousarray(part))[0], _SWITCHED_OFF)
        if not np.isfinite(planes).all():
            raise BackendError(f"{network.name} gave logits that are not finite; it is unusable")
        seen.append(Window(rows=rows, columns=columns, planes=planes))
    upsampling = network.input.upsampling
    return View(height=height, width=width, windows=tuple(seen), upsampling=upsampling)


def list_windows(length: int, *, window_px: int, stride_px: int) -> list[range]:
    """List the windows along one side of an image of `length` pixels.

    No window is longer than the side. The last window is moved back so that it ends with the side.
    """
    window = min(window_px, length)
    count = -(-(length - window) // stride_px) + 1
    starts = (min(index * stride_px, length - window) for index in range(count))
    return [range(start, start + window) for start in starts]


def split_rows(planes: Planes) -> Iterator[range]:
    """Split the rows of `planes` (classes, H, W) into blocks of the best size to work on."""
    classes, height, width = planes.shape
    step = max(1, _BLOCK_VALUES // (classes * width))
    for start in range(0, height, step):
        yield range(start, min(start + step, height))
