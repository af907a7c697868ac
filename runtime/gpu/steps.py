"""A step of resizing frames: a kernel with its tables, and the same arithmetic in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import Bgr
from edgeseg.runtime.gpu.launches import Table

__all__ = ["Indices", "Step", "pick"]

Indices = npt.NDArray[np.int32]


class Step(NamedTuple):
    """Makes an image of a size, (height, width) in pixels, from an image.

    The kernel takes the image, `tables` in their order, the result and `numbers`, and then the
    height, width and color of the canvas that the result is the upper left part of. `compute` is
    the kernel's arithmetic: uint8 (..., height, width, 3) images to images of `size`.
    """

    kernel: str
    tables: Mapping[str, Table]
    numbers: tuple[int, ...]
    size: tuple[int, int]
    compute: Callable[[Bgr], Bgr]


def pick(rows: Indices, columns: Indices, width: int) -> Step:
    """Pick one pixel for each pixel of the result, from an image `width` pixels wide."""

    def compute(images: Bgr) -> Bgr:
        return images[..., rows[:, None], columns, :]

    size = (len(rows), len(columns))
    return Step("pick_pixels", {"rows": rows, "columns": columns}, (width, *size), size, compute)
