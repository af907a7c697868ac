"""Draws a mask's colors over its frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import Bgr, ClassMap
from edgeseg.runtime.legend import Legend, make_color_table
from edgeseg.runtime.result import Result

__all__ = ["EncoderImage", "Overlay", "pad_to_even"]


class EncoderImage(NamedTuple):
    """An image with even sides: BGR (H, W, 3), or NV12 (3/2 H, W); `kind` is FFmpeg's name of it.

    NV12 is luma, then half as many rows of blue and red differences in turn, by BT.601 in the
    limited range, as FFmpeg converts BGR.
    """

    pixels: npt.NDArray[np.uint8]
    kind: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        rows, width = self.pixels.shape[:2]
        return (rows if self.kind == "bgr24" else 2 * rows // 3), width


class Overlay:
    """Blends frames with the colors of their classes, half and half.

    Where the legend has no color for an id, the frame is shown as it is. The outputs of a source
    share an overlay, so that a frame is drawn once for all of them. Not thread-safe.
    """

    def __init__(self, legend: Legend) -> None:
        palette_bgr = make_color_table(legend)[:, ::-1]
        self._clear = np.isin(np.arange(len(palette_bgr)), legend.clear) if legend.clear else None
        # Colors are halved once for each class; a frame then costs a shift and an addition a value.
        self._halves: npt.NDArray[np.uint8] = np.ascontiguousarray(palette_bgr >> 1)
        self._last: tuple[Bgr, ClassMap, Bgr] | None = None

    def draw(self, frame: Bgr, mask: ClassMap) -> Bgr:
        """Draw the mask over the frame, as an image of the frame's size, uint8 BGR.

        The same frame and mask give the same image again, so nobody may change it.
        """
        if self._last is None or self._last[0] is not frame or self._last[1] is not mask:
            self._last = frame, mask, self._blend(frame, mask)
        return self._last[2]

    def show(self, result: Result) -> Bgr:
        """Give a result's overlay: the one that a device drew in the same colors, or `draw`."""
        drawn = result.segmentation.overlay
        return self.draw(result.captured.image, result.mask) if drawn is None else drawn

    def encode(self, result: Result) -> EncoderImage:
        """Give a result's overlay for an encoder: as a device made it for that, or as `show`."""
        made = result.segmentation.nv12
        if made is not None:
            return EncoderImage(made, "nv12")
        return EncoderImage(pad_to_even(self.show(result)), "bgr24")

    def _blend(self, frame: Bgr, mask: ClassMap) -> Bgr:
        colors = self._halves.take(mask, axis=0)
        blended: Bgr = np.right_shift(frame, 1)
        np.add(blended, colors, out=blended)
        if self._clear is not None:
            np.copyto(blended, frame, where=self._clear.take(mask)[:, :, None])
        return blended


def pad_to_even(image: Bgr) -> Bgr:
    """Repeat an odd last row or column: H.264 with halved color needs even sizes."""
    odd_hw = (image.shape[0] % 2, image.shape[1] % 2)
    if not any(odd_hw):
        return image
    return np.pad(image, ((0, odd_hw[0]), (0, odd_hw[1]), (0, 0)), mode="edge")
