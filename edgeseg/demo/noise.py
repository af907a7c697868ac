"""Draws a tile of smooth noise, of which all textures are samples."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "sample_texture"]

Array = npt.NDArray[np.float32]

SIDE: Final = 256
_OCTAVES: Final = 6
_SEED: Final = 7


def sample_texture(u: Array, v: Array) -> Array:
    """Sample noise in 0..1 at the positions (u, v), two arrays that broadcast to one shape.

    The noise varies over distances of about 1/16, and repeats after 16.
    """
    rows = (u * 16).astype(np.int64) & (SIDE - 1)
    columns = (v * 16).astype(np.int64) & (SIDE - 1)
    values: Array = _make_tile()[rows, columns]
    return values


@cache
def _make_tile() -> Array:
    """Add up octaves of random values with smooth steps between them.

    The two finest weigh a little more than they would in fractal noise.
    """
    random = np.random.default_rng(_SEED)
    total = np.zeros((SIDE, SIDE), np.float32)
    for octave in range(1, _OCTAVES + 1):
        count = 2**octave
        weight = 0.5**octave * (1.6 if octave > 4 else 1)
        total += weight * _smooth(random.random((count, count)).astype(np.float32))
    scaled: Array = (total - total.min()) / (total.max() - total.min())
    return scaled


def _smooth(coarse: Array) -> Array:
    """Enlarge a small square of values smoothly to the tile's size; opposite edges fit."""
    count = len(coarse)
    position = np.arange(SIDE) * count / SIDE
    low = position.astype(int)
    high = (low + 1) % count
    step = (position - low).astype(np.float32)
    step = step * step * (3 - 2 * step)
    rows = coarse[low] * (1 - step)[:, None] + coarse[high] * step[:, None]
    blended: Array = rows[:, low] * (1 - step) + rows[:, high] * step
    return blended
