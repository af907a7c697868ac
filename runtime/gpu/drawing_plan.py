"""Plans the overlay of a mask over its frame, and the overlay as encoders take it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeseg.runtime.gpu.launches import FramePlan, Launch, Stage
from edgeseg.runtime.gpu.mask_plan import Target
from edgeseg.runtime.legend import Legend

__all__ = ["add_nv12", "plan_overlay"]


def plan_overlay(legend: Legend, target: Target) -> Stage:
    """Plan the overlay that `Overlay.draw` makes."""
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


def add_nv12(plan: FramePlan, height: int, width: int) -> FramePlan:
    """Add to a plan with an overlay, for frames of that size in pixels, the overlay as NV12.

    The buffer "nv12" is uint8 (rows, columns): luma, then half as many rows of blue and red
    differences in turn. An odd last row or column of the frame is repeated, as `pad_to_even` does.
    The matrix is BT.601's in the limited range.
    """
    down, across = -(-height // 2), -(-width // 2)
    convert = Launch(
        kernel="convert_to_nv12",
        threads=(across, down),
        arguments=("overlay", "nv12", height, width),
    )
    return replace(
        plan,
        buffers={**plan.buffers, "nv12": 6 * down * across},
        after=(*plan.after, convert),
    )
