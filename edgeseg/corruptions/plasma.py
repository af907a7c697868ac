"""Draws clouds by the diamond-square algorithm (Fournier, Fussell and Carpenter 1982)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["draw_plasma"]

Heights = npt.NDArray[np.float32]  # (side, side)


def draw_plasma(side: int, *, decay: float, random: np.random.Generator) -> Heights:
    """Draw heights in 0..1, (side, side) float32, that continue smoothly across opposite edges.

    `side` is a power of two, at least 2. Each time the grid is halved, the noise is divided by the
    square of `decay`: in the published procedure both its range and its amplitude shrink.
    """
    heights = np.zeros((side, side), np.float32)
    step, amplitude = side, 1.0
    while step > 1:
        half = step // 2
        corners = heights[::step, ::step]
        below = np.roll(corners, -1, axis=0)
        right = np.roll(corners, -1, axis=1)
        diagonal = np.roll(below, -1, axis=1)
        centers = (corners + below + right + diagonal) / 4 + _draw_noise(corners, amplitude, random)
        above, left = np.roll(centers, 1, axis=0), np.roll(centers, 1, axis=1)
        across = (corners + right + centers + above) / 4 + _draw_noise(corners, amplitude, random)
        down = (corners + below + centers + left) / 4 + _draw_noise(corners, amplitude, random)
        heights[half::step, half::step] = centers
        heights[::step, half::step] = across
        heights[half::step, ::step] = down
        step, amplitude = half, amplitude / decay**2
    heights -= heights.min()
    heights /= heights.max()
    return heights


def _draw_noise(like: Heights, amplitude: float, random: np.random.Generator) -> Heights:
    return random.uniform(-amplitude, amplitude, like.shape).astype(np.float32)
