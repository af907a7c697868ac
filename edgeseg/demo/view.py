"""The camera: it converts meters to pixels and back, and holds the picture that is painted."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgeseg.demo.noise import Array
from edgeseg.demo.street import Street

__all__ = ["Region", "View"]

Region = tuple[slice, slice]  # rows, columns


class View:
    """A pinhole camera that looks along the street, with the image and mask being painted.

    Points are x meters to the right of the street's middle, y above the ground, z ahead.
    """

    def __init__(self, street: Street, *, height: int, width: int, seed: int, frame: int) -> None:
        self.street = street
        self.height, self.width = height, width
        self.seed, self.frame = seed, frame
        self.focal_px = street.focal * width
        # The camera sways a little from side to side, and nods over bumps.
        self.center_x = width * (0.5 + 0.012 * math.sin(0.05 * frame + seed))
        self.center_y = height * (street.horizon + 0.004 * math.sin(0.35 * frame))
        self.xs: Array = np.arange(width, dtype=np.float32) + np.float32(0.5)
        self.ys: Array = np.arange(height, dtype=np.float32) + np.float32(0.5)
        self.image: Array = np.zeros((height, width, 3), np.float32)  # BGR, 0..1
        self.mask: npt.NDArray[np.uint8] = np.zeros((height, width), np.uint8)

    def column(self, x: float, z: float) -> float:
        """Convert a point to its column, in pixels."""
        return self.center_x + self.focal_px * (x - self.street.lane) / z

    def row(self, y: float, z: float) -> float:
        """Convert a point to its row, in pixels."""
        return self.center_y + self.focal_px * (self.street.camera_height - y) / z

    def region(self, left: float, right: float, top: float, bottom: float) -> Region | None:
        """Find the pixels of a rectangle and a margin of a pixel; None if it is out of sight."""
        columns = slice(max(0, int(left - 1)), min(self.width, int(right + 2)))
        rows = slice(max(0, int(top - 1)), min(self.height, int(bottom + 2)))
        if columns.start >= columns.stop or rows.start >= rows.stop:
            return None
        return rows, columns

    def at_distance(self, region: Region, z: float) -> tuple[Array, Array]:
        """Convert pixels to points at the distance z: their x (1, columns) and y (rows, 1)."""
        rows, columns = region
        x = (self.xs[columns][None] - self.center_x) * z / self.focal_px + self.street.lane
        y = self.street.camera_height - (self.ys[rows][:, None] - self.center_y) * z / self.focal_px
        return x, y

    def on_plane(self, region: Region, x: float, near: float, far: float) -> tuple[Array, Array]:
        """Convert pixels to points on the plane at x: their z (1, columns), y (rows, columns)."""
        rows, columns = region
        offset = self.xs[columns] - self.center_x
        offset = np.where(np.abs(offset) < 0.5, np.float32(0.5), offset).astype(np.float32)
        z: Array = np.clip(self.focal_px * (x - self.street.lane) / offset, near, far)[None]
        y = self.street.camera_height - (self.ys[rows][:, None] - self.center_y) * z / self.focal_px
        return z, y

    def in_haze(self, color: Array, z: npt.ArrayLike) -> Array:
        """Return a color as it looks from z meters away."""
        clear = np.exp(-np.asarray(z, np.float32) / np.float32(self.street.visibility))
        seen: Array = color * clear + self.street.haze * (1 - clear)
        return seen

    def put(
        self,
        region: Region,
        where: npt.NDArray[np.bool_],
        color: Array | None,
        label: int,
        z: float | Array,
    ) -> None:
        """Paint a region `where` that mask is true; without a color, only label it.

        `color` and `z` are one for all positions, or one for each.
        """
        self.mask[region][where] = label
        if color is None or not where.any():
            return
        if isinstance(z, np.ndarray):
            z = np.broadcast_to(z, where.shape)[where][:, None]
        seen = self.in_haze(color[where] if color.ndim == 3 else color, z)
        self.image[region][where] = seen
