"""Chooses the frames to calibrate on: varied ones, without near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import Bgr, resize_bands

__all__ = ["FEW", "Choice", "Descriptor", "choose", "describe", "looks_like_noise"]

# Fewer images than this leave rare activations unseen.
FEW: Final = 50

# Two thumbnails that differ by less than this (root mean square, in gray levels) show the same.
SAME_LEVELS: Final = 3.0

# A photograph's neighboring blocks are alike: their correlation is above 0.8 even at night.
_NOISE_CORRELATION: Final = 0.3

_SIDE: Final = 12

Descriptor = npt.NDArray[np.float32]  # (C * _SIDE**2,) gray levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen frames.

    `indices` are in the source's order. `duplicates` counts the near-duplicates left out.
    """

    indices: tuple[int, ...]
    duplicates: int


def describe(frame: Bgr) -> Descriptor:
    """Make a thumbnail of a (H, W, C) frame: the mean color of each of its 12x12 blocks."""
    return _average_blocks(frame, _SIDE).reshape(-1)


def choose(descriptors: Sequence[Descriptor], *, count: int, seed: int = 0) -> Choice:
    """Choose frames by farthest-point sampling (Gonzalez 1985) from a seeded start.

    Each next frame is the one least like all frames chosen so far. The choice ends with `count`
    frames, or when only near-duplicates are left.
    """
    table = np.stack(descriptors)
    first = int(np.random.default_rng(seed).integers(len(table)))
    chosen = [first]
    distance = _measure_distance(table, table[first])
    while len(chosen) < min(count, len(table)):
        farthest = int(np.argmax(distance))
        if distance[farthest] < SAME_LEVELS:
            break
        chosen.append(farthest)
        distance = np.minimum(distance, _measure_distance(table, table[farthest]))
    left_out = np.setdiff1d(np.arange(len(table)), chosen)
    duplicates = int((distance[left_out] < SAME_LEVELS).sum())
    return Choice(indices=tuple(sorted(chosen)), duplicates=duplicates)


def looks_like_noise(frame: Bgr) -> bool:
    """Tell whether the neighboring parts of a (H, W, C) frame are unrelated.

    A frame of one color is not noise; it is a near-duplicate of every other such frame.
    """
    gray = _average_blocks(frame, 48).mean(axis=2)
    left, right = gray[:, :-1].ravel(), gray[:, 1:].ravel()
    if gray.std() < SAME_LEVELS:
        return False
    return bool(np.corrcoef(left, right)[0, 1] < _NOISE_CORRELATION)


def _measure_distance(table: npt.NDArray[np.float32], one: Descriptor) -> npt.NDArray[np.float32]:
    distance: npt.NDArray[np.float32] = np.sqrt(((table - one) ** 2).mean(axis=1))
    return distance


def _average_blocks(frame: Bgr, side: int) -> npt.NDArray[np.float32]:
    """Average `frame` over `side` x `side` blocks, as (side, side, C).

    Pillow's box filter is fast for any size.
    """
    from PIL import Image

    def average(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        small = Image.fromarray(image).resize((side, side), Image.Resampling.BOX)
        return np.asarray(small, np.float32)

    return resize_bands(frame, average)
