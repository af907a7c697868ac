"""The effective receptive field: how much each pixel of the input moves one position of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.segformer.arch import STAGES

__all__ = ["HEAD", "PARTS", "SHARES", "ReceptiveField"]

HEAD: Final = "head"
# What has a field, in the order of computation.
PARTS: Final = (*(f"stage{number}" for number in range(1, STAGES + 1)), HEAD)
# The shares of a field's mass that its squares hold: its core, and nearly all.
SHARES: Final = (0.5, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReceptiveField:
    """How much each pixel of the input moves one position of a feature map.

    `mass` is float64 (H, W), of the network's input, and nowhere negative; only its ratios mean
    something. `center` is the pixel, (row, column), that the position stands on.
    """

    mass: npt.NDArray[np.float64]
    center: tuple[int, int]

    def find_side(self, share: float) -> int:
        """Find the side, in pixels, of the smallest centered square that holds `share` of the mass.

        Its middle is the pixel `center`, so the side is odd. What lies beyond the input holds
        nothing: the side of a field that fills a wide input is more than the input's height.
        """
        row, column = self.center
        height, width = self.mass.shape
        down = np.abs(np.arange(height) - row)[:, None]
        across = np.abs(np.arange(width) - column)
        rings = np.bincount(np.maximum(down, across).ravel(), weights=self.mass.ravel())
        inside = np.cumsum(rings)
        return 2 * int(np.searchsorted(inside, share * inside[-1])) + 1
