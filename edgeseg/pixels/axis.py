"""Finds what each position along one axis blends when an image is resized.

Positions are computed in float32, as torch computes them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.spec import Upsampling

__all__ = [
    "Axis",
    "Taps",
    "align_corners",
    "center_pixels",
    "follow_frame",
    "group_cells",
    "pick_nearest",
]

Indices = npt.NDArray[np.intp]
Shares = npt.NDArray[np.float32]

# The network's input is so many times as high and as wide as its logits.
_LOGITS_STRIDE: Final = 4


class Taps(NamedTuple):
    """The inputs that each output blends, two or three in ascending order, and their shares."""

    inputs: list[Indices]  # each (outputs,)
    shares: list[Shares]  # each (outputs,); the shares of one output add up to 1

    def take(self, outputs: range) -> Taps:
        """Take some of the outputs."""
        part = slice(outputs.start, outputs.stop)
        return Taps([one[part] for one in self.inputs], [one[part] for one in self.shares])

    @property
    def span(self) -> range:
        """The inputs from the first to the last that an output blends."""
        return range(int(self.inputs[0][0]), int(self.inputs[-1][-1]) + 1)

    def begin_at(self, first: int) -> Taps:
        """Count the inputs from `first`, where the inputs before it are not there."""
        return self._replace(inputs=[one - first for one in self.inputs])


class Axis(NamedTuple):
    """The outputs along one axis, grouped into cells.

    A cell is a run of outputs that blend the same inputs. Arrays have one row for each cell.
    `output` and `shares` are as wide as the longest run; shorter runs repeat their last output.
    """

    inputs: list[Indices]  # each (cells,)
    output: Indices  # (cells, longest)
    shares: list[Shares]  # each (cells, longest), of the input at the same place in `inputs`


def center_pixels(outputs: int, inputs: int, share: float = 1.0) -> Taps:
    """Find the taps of torch's `align_corners=False`: half-pixel centers, clamped at the ends.

    `share` is the part of the inputs that the outputs cover.
    """
    scale = np.float32(inputs * share) / np.float32(outputs)
    position = scale * (np.arange(outputs, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    floor = np.floor(position)
    weight = np.where(floor < 0, np.float32(0), position - floor)
    low = floor.astype(np.intp)
    return Taps([np.clip(low + tap, 0, inputs - 1) for tap in (0, 1)], [1 - weight, weight])


def align_corners(outputs: int, inputs: int) -> Taps:
    """Find the taps of torch's `align_corners=True`: the first and the last positions meet."""
    scale = np.float32(inputs - 1) / np.float32(max(outputs - 1, 1))
    position = scale * np.arange(outputs, dtype=np.float32)
    low = np.minimum(position.astype(np.intp), inputs - 1)
    weight = np.clip(position - low.astype(np.float32), np.float32(0), np.float32(1))
    return Taps([low, np.minimum(low + 1, inputs - 1)], [1 - weight, weight])


def follow_frame(outputs: int, inputs: int, share: float, upsampling: Upsampling) -> Taps:
    """Find the taps from logits to a frame, which covers a `share` of the network's input."""
    if upsampling is Upsampling.HALF_PIXEL:
        return center_pixels(outputs, inputs, share)
    middle = inputs * _LOGITS_STRIDE
    covered = max(round(middle * share), 1)
    return _chain(align_corners(middle, inputs), center_pixels(outputs, covered))


def pick_nearest(outputs: int, inputs: int, share: float = 1.0) -> Indices:
    """Find the input nearest to each output, where the outputs cover a `share` of the inputs."""
    return ((np.arange(outputs) + 0.5) * (inputs * share / outputs)).astype(np.intp)


def group_cells(taps: Taps) -> Axis:
    """Group outputs into cells."""
    inputs = taps.inputs
    _, first, length = np.unique(inputs[0] + inputs[1], return_index=True, return_counts=True)
    output = first[:, None] + np.minimum(np.arange(length.max()), length[:, None] - 1)
    return Axis([one[first] for one in inputs], output, [one[output] for one in taps.shares])


def _chain(first: Taps, second: Taps) -> Taps:
    """Find the taps of two resizings, one after the other.

    The first must enlarge. Two neighbors of its result then lie between three inputs at most.
    """
    low, last = first.inputs[0][second.inputs[0]], first.inputs[1][-1]
    shares = [np.zeros(len(low), np.float32) for _ in range(3)]
    for middle, outer in zip(second.inputs, second.shares, strict=True):
        for source, inner in zip(first.inputs, first.shares, strict=True):
            for tap, share in enumerate(shares):
                share += np.where(source[middle] == low + tap, outer * inner[middle], np.float32(0))
    used = 3 if shares[2].any() else 2  # two where the frame has the network's size
    return Taps([np.minimum(low + tap, last) for tap in range(used)], shares[:used])
