"""Cuts a region of interest out of frames, without a copy."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgeseg.errors import SourceError, SpecError
from edgeseg.pixels import Bgr
from edgeseg.runtime.sources import Captured

__all__ = ["Region", "read_region"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A rectangle of a frame, in pixels: its first row and column, and its size."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, frame: Bgr) -> Bgr:
        """Return the part of a frame (H, W, C), as a view of it.

        Raises:
            SourceError: the region reaches beyond the frame.
        """
        height, width = frame.shape[:2]
        if self.top + self.height > height or self.left + self.width > width:
            raise SourceError(
                f"roi {(self.top, self.left, self.height, self.width)} (top, left, height, width) "
                f"reaches beyond a frame of {height}x{width} pixels (height x width)"
            )
        return frame[self._part]

    def cut_all(self, frames: Iterator[Captured]) -> Iterator[Captured]:
        """Cut each frame of a source, and its truth where it has one.

        Raises, while iterating:
            SourceError: the region reaches beyond a frame.
        """
        for captured in frames:
            image, truth = self.cut(captured.image), captured.truth
            yield replace(captured, image=image, truth=None if truth is None else truth[self._part])

    @property
    def _part(self) -> tuple[slice, slice]:
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


def read_region(roi: tuple[int, int, int, int]) -> Region:
    """Read (top, left, height, width), in pixels.

    Raises:
        SpecError: these are not four whole numbers, or the region lies outside of every frame.
    """
    try:
        top, left, height, width = map(operator.index, roi)
    except (TypeError, ValueError):
        raise SpecError(
            f"roi is (top, left, height, width), four whole numbers of pixels; got {roi!r}"
        ) from None
    if min(top, left) < 0 or min(height, width) < 1:
        raise SpecError(
            f"roi {(top, left, height, width)} (top, left, height, width) begins at 0 or later, "
            f"and is at least one pixel high and wide"
        )
    return Region(top=top, left=left, height=height, width=width)
