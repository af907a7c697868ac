"""Plans how an engine's output becomes the frame's mask; the tables are those of `pixels.axis`."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edgeseg.pixels.axis import Taps, follow_frame, group_cells, pick_nearest
from edgeseg.runtime.gpu.launches import Launch, Stage, Table
from edgeseg.spec import Upsampling

__all__ = ["Target", "plan_counts", "plan_ids", "plan_logits"]

# Of `LISTED` in mask.cuh: the classes that a cell's list holds.
_LISTED: Final = 8
# Pixels of a column that a thread counts.
_COUNTED_ROWS: Final = 32


class Target(NamedTuple):
    """The frame's mask: its size in pixels, and the part of the network's input that it covers."""

    height: int
    width: int
    share: tuple[float, float]
    classes: int

    @property
    def bytes(self) -> int:
        """The bytes of each class id, as `pixels` has them."""
        return 1 if self.classes <= 256 else 2


def plan_logits(
    size: tuple[int, int], target: Target, upsampling: Upsampling, *, half: bool
) -> Stage:
    """Plan the mask of logits (classes, height, width) of that size, float16 if `half`."""
    height, width = size
    whole = size == (target.height, target.width) and target.share == (1.0, 1.0)
    same = whole and upsampling is Upsampling.HALF_PIXEL
    ids, bytes_ = ("mask", target.bytes) if same else ("nearest", 2)
    find = Launch(
        kernel="find_highest",
        threads=(width, height),
        arguments=("output", ids, "fault", int(half), bytes_, target.classes, height, width),
    )
    if same:
        return Stage({}, {}, (find,))
    rows = follow_frame(target.height, height, target.share[0], upsampling)
    columns = follow_frame(target.width, width, target.share[1], upsampling)
    taps = max(len(rows.inputs), len(columns.inputs))
    tables = _group("rows", rows, taps) | _group("columns", columns, taps)
    down, across = tables["rows"].shape[1], tables["columns"].shape[1]
    numbers = (int(half), taps, target.classes, height, width, down, across)
    cells = ("output", "nearest", "rows", "columns", "count", "contenders")
    pixels = ("rows.cells", "rows.shares", "columns.cells", "columns.shares")
    sizes = (target.height, target.width, target.bytes)
    launches = (
        find,
        Launch(kernel="find_contenders", threads=(across, down), arguments=(*cells, *numbers)),
        *(
            Launch(
                kernel=kernel,
                threads=(target.width, target.height),
                arguments=(*cells, *pixels, "mask", *numbers, *sizes),
            )
            for kernel in ("fill_mask", "fill_crowded")
        ),
    )
    buffers = {
        "nearest": 2 * height * width,
        "count": down * across,
        "contenders": 2 * _LISTED * down * across,
    }
    return Stage(tables, buffers, launches)


def plan_ids(size: tuple[int, int], target: Target, *, given_bytes: int) -> Stage:
    """Plan the mask of class ids (height, width) of that size, of so many bytes each."""
    rows = pick_nearest(target.height, size[0], target.share[0]).astype(np.int32)
    columns = pick_nearest(target.width, size[1], target.share[1]).astype(np.int32)
    numbers = (given_bytes, target.bytes, target.classes, size[1], target.height, target.width)
    pick = Launch(
        kernel="pick_ids",
        threads=(target.width, target.height),
        arguments=("output", "id_rows", "id_columns", "mask", "fault", *numbers),
    )
    return Stage({"id_rows": rows, "id_columns": columns}, {}, (pick,))


def plan_counts(target: Target) -> Launch:
    """Plan the numbers of pixels of each class in the mask."""
    numbers = (target.bytes, target.classes, target.height, target.width, _COUNTED_ROWS)
    return Launch(
        kernel="count_ids",
        threads=(target.width, -(-target.height // _COUNTED_ROWS)),
        arguments=("mask", "counts", *numbers),
    )


def _group(name: str, taps: Taps, number: int) -> dict[str, Table]:
    """Make the tables of an axis with so many taps.

    A tap that it does not have is its last input once more, with a share of zero: nothing changes.
    """
    cells = group_cells(taps)
    missing = number - len(taps.inputs)
    cell = np.empty(len(taps.inputs[0]), np.int32)
    cell[cells.output] = np.arange(len(cells.output), dtype=np.int32)[:, None]
    nothing = np.zeros(len(cell), np.float32)
    return {
        name: np.stack([*cells.inputs, *[cells.inputs[-1]] * missing]).astype(np.int32),
        f"{name}.cells": cell,
        f"{name}.shares": np.stack([*taps.shares, *[nothing] * missing]).astype(np.float32),
    }
