"""Plans what a GPU computes for frames of one size: tables, buffers, and launches of kernels.

A plan is plain data, made with NumPy alone. `pixels` and the libraries that it uses define what is
computed. The plan's tables carry the definition to the kernels, which add up in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FramePlan", "Launch", "Table"]

Table = npt.NDArray[np.generic]
"""A constant of the kernels: C-contiguous, of a type that its kernel names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One call of a kernel of `pixels.cu`.

    `threads` says how many threads the work needs, across and down; a block of any shape may
    hold them, and threads beyond them do nothing. Each argument is the name of a buffer or a
    table, which the kernel gets as a pointer, or a 32-bit integer.
    """

    kernel: str
    threads: tuple[int, int]
    arguments: tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePlan:
    """What is computed for frames of one size, on one stream, in the order of the launches.

    `tables` are constants of the size of the frames, uploaded once. `buffers` have a number of
    bytes each, and are written anew for each frame. Some have fixed names, the others are scratch:

    - "frame", uint8 (H, W, 3) BGR: what a source gave, uploaded before all launches
    - "input", uint8 (1, h, w, 3) BGR: the engine's input, made by `before`
    - "output": the engine's output, read by `after`
    - "mask", uint8 or uint16 (H, W): class ids
    - "counts", int32 (classes,): the pixels of each class in the mask
    - "fault", int32 (1,): 0 where the output is usable; see the constants of this module
    - "overlay", uint8 (H, W, 3) BGR: where a legend is given; equal to `Overlay.draw`
    - "nv12", uint8 (3/2 of H rounded up to even, W rounded up to even): the overlay for encoders,
      where it is asked for
    """

    tables: Mapping[str, Table]
    buffers: Mapping[str, int]
    before: tuple[Launch, ...]
    after: tuple[Launch, ...]
