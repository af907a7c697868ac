"""Windows that overlap over an image, and the mean logits of those that see a pixel.

Logits are kept as the network gives them, at about a quarter of the image's size. Those at the
image's own size are made for a block of pixels when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import BackendError
from edgeseg.pixels.arrays import Logits, Planes
from edgeseg.pixels.axis import Taps
from edgeseg.pixels.resizing import blend

__all__ = [
    "Window",
    "average_windows",
    "copy_planes",
    "crop_windows",
    "find_contenders",
    "list_windows",
    "split_rows",
]

Classes = npt.NDArray[np.intp]

# Values worked on at a time, 2 MB in float32. Smaller blocks resize more rows twice; larger ones do
# not fit the cache. Of 2^18 to 2^22 this was the fastest, with 19 and with 150 classes.
_BLOCK_VALUES: Final = 1 << 19

# Replaces minus infinity, which a blend's weight of zero would make NaN. The value is lower than
# any trained logit, and a sum of several stays finite.
_SWITCHED_OFF: Final = np.float32(-1e30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of an image, in pixels, and the network's logits of that part, at any size.

    `down` and `across` say which logits each row and each column of the part blends.
    """

    rows: range
    columns: range
    planes: Planes
    down: Taps
    across: Taps

    def crop(self, rows: range, columns: range) -> Window:
        """Crop to some pixels of the window, and to a view of the logits that they blend."""
        down = self.down.take(_count_from(self.rows.start, rows))
        across = self.across.take(_count_from(self.columns.start, columns))
        top, left = down.span, across.span
        return Window(
            rows=rows,
            columns=columns,
            planes=self.planes[:, top.start : top.stop, left.start : left.stop],
            down=down.begin_at(top.start),
            across=across.begin_at(left.start),
        )

    def keep_from(self, top: int) -> Window:
        """Keep the rows from `top` on, and of the logits only those that these rows blend."""
        if top <= self.rows.start:
            return self
        kept = self.crop(range(top, self.rows.stop), self.columns)
        return replace(kept, planes=kept.planes.copy())


def crop_windows(windows: Iterable[Window], rows: range, columns: range) -> list[Window]:
    """Crop to a block of pixels, and leave out the windows that see none of them."""
    return [
        window.crop(down, across)
        for window in windows
        if (down := _intersect(rows, window.rows))
        and (across := _intersect(columns, window.columns))
    ]


def average_windows(
    windows: Iterable[Window], rows: range, columns: range, classes: Classes | None = None
) -> Planes:
    """Make the mean logits of a block of pixels, (classes, rows, columns).

    Each pixel's logits are averaged over the windows that see it; at least one does. `classes` are
    the indices of those to make; None makes all.
    """
    seen = crop_windows(windows, rows, columns)
    made = len(seen[0].planes) if classes is None else len(classes)
    total = np.zeros((made, len(rows), len(columns)), np.float32)
    count = np.zeros((len(rows), len(columns)), np.float32)
    for window in seen:
        down = _count_from(rows.start, window.rows)
        across = _count_from(columns.start, window.columns)
        place = (slice(down.start, down.stop), slice(across.start, across.stop))
        planes = window.planes if classes is None else window.planes[classes]
        total[(slice(None), *place)] += blend(
            blend(planes, window.down, axis=1), window.across, axis=2
        )
        count[place] += 1
    total /= count
    return total


def find_contenders(windows: Sequence[Window]) -> Classes:
    """Find the classes that may have the highest mean logit somewhere in a block, ascending.

    The windows are cropped to the block. A class is out if, in every window, its highest logit is
    below the lowest logit of one same other class: so are then their blends, and the means of
    these.
    """
    highest = np.stack([window.planes.max(axis=(1, 2)) for window in windows])
    lowest = np.stack([window.planes.min(axis=(1, 2)) for window in windows])
    rivals = {int(lowest.min(axis=0).argmax()), *lowest.argmax(axis=1).tolist()}
    beaten = [(highest < lowest[:, rival, None]).all(axis=0) for rival in rivals]
    return np.flatnonzero(~np.any(beaten, axis=0))


def copy_planes(logits: Logits, network: str) -> Planes:
    """Copy the logits of one image, and make minus infinity finite.

    Raises:
        BackendError: a logit is NaN or plus infinity, as FP16 overflow makes them; the message
            names the network.
    """
    planes: Planes = np.maximum(logits[0], _SWITCHED_OFF)
    if not np.isfinite(planes).all():
        raise BackendError(f"{network} gave logits that are not finite; it is unusable")
    return planes


def list_windows(length: int, *, window_px: int, stride_px: int) -> list[range]:
    """List the windows along one side of an image of `length` pixels.

    No window is longer than the side. The last window is moved back so that it ends with the side.
    """
    window = min(window_px, length)
    count = -(-(length - window) // stride_px) + 1
    starts = (min(index * stride_px, length - window) for index in range(count))
    return [range(start, start + window) for start in starts]


def split_rows(rows: range, *, values: int) -> Iterator[range]:
    """Split rows of so many values each into blocks of the best size to work on."""
    step = max(1, _BLOCK_VALUES // values)
    for start in range(rows.start, rows.stop, step):
        yield range(start, min(start + step, rows.stop))


def _intersect(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))


def _count_from(start: int, part: range) -> range:
    return range(part.start - start, part.stop - start)
