"""Decides which frames take the output of the network for an earlier frame, and keeps that output.

A frame whose network input is identical to that of the last computed frame, the key frame, has the
same output. With a gate, so has a frame that differs from the key frame by no more than the
camera's noise (docs/decisions/0021-reuse.md).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SpecError
from edgeseg.pixels import Bgr, Frame, Output
from edgeseg.runtime.finish import Finish, Finished
from edgeseg.runtime.sources import Captured
from edgeseg.spec import InputSpec

__all__ = ["EXACT", "KEEP_S", "LastMask", "Reuse", "Reuser", "check_reuse", "parse_reuse"]

# A gate reuses an output for this long at most, in seconds of the source.
KEEP_S: Final = 2.0

# SegFormer gives a logit for each 4x4 pixels; things smaller than a block of 8x8 it hardly tells.
_BLOCK: Final = 8
# The largest of thousands of blocks of normal noise lies 3 times above their median where the
# channels' noise is independent, and 5.4 times where it is the same.
_NOISES: Final = 6.0
# In gray levels. Below is the rounding to 8 bits; above is motion, which no camera's noise reaches.
_LEAST_NOISE, _MOST_NOISE = 0.25, 2.0
# Noise is looked at once in so many seconds: a codec repeats blocks from one frame to the next.
_LOOK_S: Final = 1.0
# A minute of looks. A quarter of them may be taken to be of a picture that rests for the most part.
_LOOKS, _FEWEST_LOOKS, _AT_REST = 60, 3, 0.25

_Blocks = npt.NDArray[np.uint16]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """Which frames take an earlier frame's output: identical ones, or also those behind a gate.

    `factor` scales the gate's threshold; None is no gate.

    Raises:
        SpecError: the factor is not above 0.
    """

    factor: float | None = None

    def __post_init__(self) -> None:
        if self.factor is not None and not 0 < self.factor < math.inf:
            raise SpecError(f"the factor of a gate is a number above 0; got {self.factor:g}")


EXACT: Final = Reuse()


def check_reuse(reuse: Reuse, *, tile: bool) -> None:
    """Refuse a gate for tiles.

    Raises:
        SpecError: tiles are to have a gate.
    """
    if tile and reuse.factor is not None:
        raise SpecError("tiles are computed for each frame; leave out --reuse gated or --tile")


def parse_reuse(text: str) -> Reuse:
    """Parse `exact`, `gated`, or `gated=FACTOR`.

    Raises:
        SpecError: it is none of them.
    """
    name, separator, factor = text.partition("=")
    if text == "exact":
        return EXACT
    if name == "gated":
        try:
            return Reuse(factor=float(factor) if separator else 1.0)
        except ValueError:
            pass
    raise SpecError(f"--reuse takes exact, gated or gated=FACTOR, as gated=1.5; got {text!r}")


@dataclass(frozen=True, slots=True)
class _Key(Generic[T]):
    """The last computed frame. `size` is the frame's own height and width, in pixels."""

    network_input: Frame
    size: tuple[int, ...]
    output: T

    def saw(self, network_input: Frame) -> bool:
        """Whether the network's input is identical to this frame's."""
        return np.array_equal(self.network_input, network_input)


class Reuser(Generic[T]):
    """Gives each frame of one source its output, computed or that of the key frame.

    Not thread-safe. The output may be of any type.
    """

    def __init__(self, reuse: Reuse, compute: Callable[[Frame], T]) -> None:
        """Start without a key frame; `compute` runs the network, and its result is kept."""
        self._compute = compute
        self._gate = None if reuse.factor is None else _Gate(reuse.factor)
        self._key: _Key[T] | None = None

    def find_output(self, network_input: Frame, captured: Captured) -> tuple[T, bool]:
        """Find the output for a frame and its input, uint8 (1, H, W, C), and whether it is reused.

        A frame of another size than the key frame's is computed. The caller leaves the input's
        memory alone afterwards.
        """
        key = self._key
        size, time_s = captured.image.shape[:2], captured.time_s
        alike = self._gate is not None and self._gate.look(network_input, time_s)
        if key is not None and key.size == size and (alike or key.saw(network_input)):
            return key.output, True
        output = self._compute(network_input)
        self._key = _Key(network_input, size, output)
        if self._gate is not None:
            self._gate.keep(time_s)
        return output, False


class LastMask:
    """Remembers what was made of the last output, for frames that reuse it. Not thread-safe."""

    def __init__(self, finish: Finish) -> None:
        self._finish = finish
        self._output: Output | None = None
        self._made: Finished | None = None

    def find(self, output: Output, spec: InputSpec, frame: Bgr) -> Finished:
        """Find the mask and scores of an output for a frame, as `Finish.make` makes them.

        The last output has those that were made for it, for a frame of the same size. Whoever
        receives a mask may change it, so no two frames share its memory.
        """
        if self._made is None or output is not self._output:
            self._made, self._output = self._finish.make(output, spec, frame), output
        mask, scores = self._made
        return Finished(mask.copy(), None if scores is None else scores.copy())


class _Gate:
    """Compares frames with the key frame, block by block."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._noise = _Noise()
        self._newest: _Blocks | None = None
        self._key: _Blocks | None = None
        self._key_s = 0.0

    def look(self, network_input: Frame, time_s: float) -> bool:
        """Say whether the frame is the key frame but for noise, and learn from the frame."""
        blocks = _add_blocks(network_input[0])
        self._newest = blocks
        self._noise.learn(blocks, time_s)
        level = self._noise.level
        if level is None or self._key is None or not 0 <= time_s - self._key_s < KEEP_S:
            return False
        return bool(_compare(blocks, self._key).max() <= self._factor * _NOISES * level)

    def keep(self, time_s: float) -> None:
        """Make the newest frame the key frame."""
        self._key, self._key_s = self._newest, time_s


class _Noise:
    """Learns a camera's noise from how blocks of the picture differ a second later."""

    def __init__(self) -> None:
        self._looks: deque[float] = deque(maxlen=_LOOKS)
        self._before: _Blocks | None = None
        self._before_s = 0.0

    def learn(self, blocks: _Blocks, time_s: float) -> None:
        """Look at a frame's blocks, once in `_LOOK_S`."""
        if self._before is not None and 0 <= time_s - self._before_s < _LOOK_S:
            return
        # A picture that stands still to the bit is a repeated one, and tells nothing of noise.
        if self._before is not None and not np.array_equal(blocks, self._before):
            # The median is that of blocks at rest, unless half of the picture moves.
            self._looks.append(float(np.median(_compare(blocks, self._before))))
        self._before, self._before_s = blocks, time_s

    @property
    def level(self) -> float | None:
        """The usual difference of a block at rest, in gray levels; None until it is known."""
        if len(self._looks) < _FEWEST_LOOKS:
            return None
        noise = float(np.quantile(self._looks, _AT_REST))
        return min(max(noise, _LEAST_NOISE), _MOST_NOISE)


def _add_blocks(image: Bgr) -> _Blocks:
    """Add up the pixels of each block, for each channel: (rows, columns, C) of an (H, W, C) image.

    Where a side is no multiple of the block's, its last pixels count more than once.
    """
    height, width = image.shape[:2]
    past = ((0, -height % _BLOCK), (0, -width % _BLOCK), (0, 0))
    whole = np.pad(image, past, mode="edge") if any(map(sum, past)) else image
    # Adding slices takes a third of the time of NumPy's sum over two axes.
    rows = reduce(np.add, (whole[step::_BLOCK].astype(np.uint16) for step in range(_BLOCK)))
    return reduce(np.add, (rows[:, step::_BLOCK] for step in range(_BLOCK)))


def _compare(blocks: _Blocks, others: _Blocks) -> npt.NDArray[np.float64]:
    """Compute by how many gray levels the blocks' means differ, averaged over the channels."""
    apart = np.maximum(blocks, others) - np.minimum(blocks, others)
    return np.asarray(apart.mean(axis=2) / _BLOCK**2)
