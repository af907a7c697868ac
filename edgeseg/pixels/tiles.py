"""Segments an image that is larger than the network, window by window, in bounded memory.

`edgeseg run --tile` and `edgeseg verify --protocol slide` of a bundle both do this. The image stays
at its own resolution. Windows of the network's size overlap, and the logits of a pixel are averaged
over the windows that see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.pixels.arrays import Bgr, ClassMap, Logits
from edgeseg.pixels.axis import follow_frame
from edgeseg.pixels.input import measure_coverage
from edgeseg.pixels.mask import find_id_type, to_frame_mask, to_mask
from edgeseg.pixels.scores import Take, find_highest, rate_bands
from edgeseg.pixels.windows import (
    Window,
    average_windows,
    copy_planes,
    crop_windows,
    find_contenders,
    list_windows,
)
from edgeseg.spec import InputSpec

__all__ = ["OVERLAP", "Look", "find_stride", "segment_tiles"]

# The part of a window's side that the next window sees again; decision 17 has what was measured.
OVERLAP: Final = 0.25

# Pixels of a block's sides. Fewer classes may win in smaller blocks, and larger blocks are fewer.
# Of 32 to 256 this was good for both 19 and 150 classes.
_BLOCK_PX: Final = 64

# Computes the logits of a part of an image, uint8 (H, W, C). A part is as large as the network's
# input, or shorter on a side; it becomes the network's input as a frame does.
Look = Callable[[Bgr], Logits]


def find_stride(side_px: int, overlap: float = OVERLAP) -> int:
    """Find the distance between windows of `side_px` pixels."""
    return max(1, int(side_px * (1 - overlap)))


def segment_tiles(
    look: Look, spec: InputSpec, frame: Bgr, *, overlap: float = OVERLAP, rate: Take | None = None
) -> ClassMap:
    """Segment a frame through windows of the network's size: class ids (H, W) at its own size.

    The frame is uint8 (H, W, C). A side of it that is shorter than the network's is stretched or
    padded, as the network does with any frame (`spec.aspect`). A frame that one window sees whole
    gets the mask that it gets without windows.

    Windows are looked at row by row. A block of pixels is done as soon as all windows that see it
    have been looked at. Of earlier windows only the rows that later ones see again are kept. So
    beside the frame and its mask, memory holds about `overlap` of the logits of one row of windows.
    At the bottom, where the last row is moved back, it holds at most one row and `overlap`.

    `rate` gets the highest probability of every pixel, of softmax over the mean logits, block by
    block.

    Raises:
        BackendError: a logit is NaN or plus infinity.
    """
    height, width = frame.shape[:2]
    down, across = (
        list_windows(length, window_px=side, stride_px=find_stride(side, overlap))
        for length, side in ((height, spec.height), (width, spec.width))
    )
    if len(down) == len(across) == 1:
        return _segment_whole(look(frame), spec, frame, rate)
    mask: ClassMap | None = None
    held: list[Window] = []
    for rows, bottom in _find_ends(down):
        for columns, right in _find_ends(across):
            held.append(_see(look, spec, frame, rows, columns))
            if mask is None:
                mask = np.empty((height, width), find_id_type(len(held[0].planes)))
            for block in product(
                _split(range(rows.start, bottom)), _split(range(columns.start, right))
            ):
                _fill(mask, held, *block, rate)
            held = list(_release(held, bottom, right))
    assert mask is not None, "an image has pixels"
    return mask


def _split(pixels: range) -> Iterator[range]:
    """Split pixels along one side into blocks."""
    for start in range(pixels.start, pixels.stop, _BLOCK_PX):
        yield range(start, min(start + _BLOCK_PX, pixels.stop))


def _segment_whole(logits: Logits, spec: InputSpec, frame: Bgr, rate: Take | None) -> ClassMap:
    mask = to_frame_mask(logits, spec, frame)
    if rate is not None:
        rate_bands(logits, spec, mask, rate)
    return mask


def _fill(
    mask: ClassMap, windows: Sequence[Window], rows: range, columns: range, rate: Take | None
) -> None:
    """Write into a block of `mask` the classes with the highest mean logits, and rate them."""
    seen = crop_windows(windows, rows, columns)
    place = (slice(rows.start, rows.stop), slice(columns.start, columns.stop))
    mask[place] = _choose_classes(seen, rows, columns)
    if rate is not None:
        rate(place, mask[place], find_highest(average_windows(seen, rows, columns)))


def _choose_classes(seen: Sequence[Window], rows: range, columns: range) -> npt.NDArray[np.intp]:
    """Choose the classes of a block's pixels: (rows, columns), or one for all of them."""
    contenders = find_contenders(seen)
    if len(contenders) == 1:
        return contenders
    planes = average_windows(seen, rows, columns, contenders)
    chosen: npt.NDArray[np.intp] = contenders[
        to_mask(planes[None], height=len(rows), width=len(columns))
    ]
    return chosen


def _find_ends(windows: Sequence[range]) -> Iterator[tuple[range, int]]:
    """Find for each window where the next one begins, or where the last one ends."""
    for window, following in zip(windows, [*windows[1:], None], strict=True):
        yield window, window.stop if following is None else following.start


def _see(look: Look, spec: InputSpec, frame: Bgr, rows: range, columns: range) -> Window:
    part = frame[rows.start : rows.stop, columns.start : columns.stop]
    planes = copy_planes(look(np.ascontiguousarray(part)), "the engine")
    covered = measure_coverage(len(rows), len(columns), spec)
    return Window(
        rows=rows,
        columns=columns,
        planes=planes,
        down=follow_frame(len(rows), planes.shape[1], covered[0], spec.upsampling),
        across=follow_frame(len(columns), planes.shape[2], covered[1], spec.upsampling),
    )


def _release(held: Sequence[Window], bottom: int, right: int) -> Iterator[Window]:
    """Keep the windows that reach beyond `right`, and of the others the rows from `bottom` on."""
    for window in held:
        if window.columns.stop > right:
            yield window
        elif window.rows.stop > bottom:
            yield window.keep_from(bottom)
