"""What a GPU computes for frames of one size, as plain data: launches, tables and buffers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["FramePlan", "Launch", "Stage", "Table"]

Table = npt.NDArray[np.generic]
"""A constant of the kernels: C-contiguous, of the type that its kernel reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One call of a kernel of `pixels.cu`.

    `threads` says how many threads the work needs, across and down. Blocks of any shape may hold
    them; threads beyond them do nothing. Each argument is the name of a buffer or a table, which
    the kernel gets as a pointer, or a 32-bit integer.
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
    - "mask", uint8 up to 256 classes, else uint16, (H, W): class ids
    - "counts", int32 (classes,): the pixels of each class in the mask
    - "fault", int32 (1,): 0 where the output is usable; 1 where `to_mask` would refuse it, because
      a logit is NaN or the highest logit of a place is infinite; 2 where an id has no class
    - "overlay", uint8 (H, W, 3) BGR: equal to `Overlay.draw`, where a legend is given
    - "nv12", uint8 (3/2 H, W), both rounded up to even: the overlay for encoders, as `plan_drawing`
      says
    """

    tables: Mapping[str, Table]
    buffers: Mapping[str, int]
    before: tuple[Launch, ...]
    after: tuple[Launch, ...]


class Stage(NamedTuple):
    """A part of a plan, with the tables and buffers that it adds."""

    tables: Mapping[str, Table]
    buffers: Mapping[str, int]
    launches: tuple[Launch, ...]
