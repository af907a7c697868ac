"""Plans the overlay of a mask over its frame, as an image or as encoders take it."""

from __future__ import annotations

import numpy as np

from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.gpu.launches import Launch, Stage
from edgeseg.runtime.gpu.mask_plan import Target
from edgeseg.runtime.legend import Legend

__all__ = ["plan_drawing"]


def plan_drawing(drawing: Drawing, target: Target) -> Stage:
    """Plan the overlay that `Overlay.draw` makes; where it is encoded, as NV12, too.

    The buffer "nv12" is uint8 (rows, columns): luma, then half as many rows of blue and red
    differences in turn. An odd last row or column of the frame is repeated, as `pad_to_even` does.
    The matrix is BT.601's in the limited range.
    """
    drawn = _plan_overlay(drawing.legend, target)
    if not drawing.encoded:
        return drawn
    down, across = -(-target.height // 2), -(-target.width // 2)
    convert = Launch(
        kernel="convert_to_nv12",
        threads=(across, down),
        arguments=("overlay", "nv12", target.height, target.width),
    )
    return Stage(
        drawn.tables, {**drawn.buffers, "nv12": 6 * down * across}, (*drawn.launches, convert)
    )


def _plan_overlay(legend: Legend, target: Target) -> Stage:
    colors = len(legend.palette)
    # Ids beyond the classes are black, as in `Overlay`.
    palette = np.zeros((max(colors, 256**target.bytes), 4), np.uint8)
    palette[:colors, :3] = np.array(legend.palette, np.uint8)[:, ::-1] >> 1
    palette[list(legend.clear), 3] = 1
    draw = Launch(
        kernel="draw_overlay",
        threads=(target.width, target.height),
        arguments=(
            *("frame", "mask", "palette", "overlay"),
            *(target.bytes, target.height, target.width),
        ),
    )
    return Stage({"palette": palette}, {"overlay": target.height * target.width * 3}, (draw,))
