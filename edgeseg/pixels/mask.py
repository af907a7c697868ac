"""Turns logits into masks: bilinear logits at the frame's size, then the highest class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from edgeseg.errors import BackendError
from edgeseg.pixels.arrays import Bgr, ClassMap, Logits, Output, Planes
from edgeseg.pixels.input import measure_coverage
from edgeseg.spec import InputSpec

__all__ = ["to_frame_mask", "resize_ids", "resize_logits", "resize_rows", "to_mask"]

# Values worked on at a time, 1 MB in float32: large enough to hide NumPy's call overhead, small
# enough for a cache. Of 2^15 to 2^20 this was the fastest, with 150 classes.
_CHUNK_VALUES: Final = 1 << 18
_LOGITS_DIMENSIONS: Final = 4  # (1, classes, h, w); class ids are (1, H, W)


def to_frame_mask(output: Output, spec: InputSpec, frame: Bgr) -> ClassMap:
    """Turn an engine's output for a frame into class ids at the frame's own size.

    The output is float32 (1, classes, h, w) logits, or (1, h, w) class ids. The frame is uint8
    (H, W, 3); the mask is (H, W), uint8 up to 256 classes, else uint16.

    Raises:
        BackendError: a logit is NaN or plus infinity.
    """
    height, width = frame.shape[:2]
    share = measure_coverage(height, width, spec)
    if output.ndim == _LOGITS_DIMENSIONS:
        return to_mask(cast("Logits", output), height=height, width=width, share=share)
    return resize_ids(cast("ClassMap", output[0]), height=height, width=width, share=share)


def to_mask(
    logits: Logits, *, height: int, width: int, share: tuple[float, float] = (1.0, 1.0)
) -> ClassMap:
    """Resize logits bilinearly to `height` x `width`, then take the highest class.

    The logits are float32 (1, classes, h, w); the mask is (height, width), uint8 up to 256 classes,
    else uint16. Ties go to the lower id.

    The mask equals torch's `interpolate(mode="bilinear", align_corners=False)` and `argmax`, except
    where the two best logits differ by rounding only. `share` is the part of the logits' area that
    the frame covers (see `measure_coverage`).

    Every output pixel blends the four logits around it. Where all four have the same argmax, so has
    every blend of them, and the pixel is filled without interpolation. In the remaining cells a
    class is skipped if it cannot win: another class is above it at each corner, or another class's
    smallest corner is above its largest.

    Raises:
        BackendError: a logit is NaN or plus infinity, as FP16 overflow makes them.
    """
    planes = logits[0]
    nearest = _argmax(planes)
    if (height, width) == nearest.shape and share == (1.0, 1.0):
        return nearest
    rows = _blend_axis(height, planes.shape[1], share[0])
    columns = _blend_axis(width, planes.shape[2], share[1])
    corners = _take_corners(nearest, rows, columns)
    mixed = (corners[0] != corners[1]) | (corners[0] != corners[2]) | (corners[0] != corners[3])
    mask: ClassMap = np.repeat(np.repeat(corners[0], columns.length, axis=1), rows.length, axis=0)
    cell_row, cell_column = np.nonzero(mixed)
    pixels_per_cell = rows.output.shape[1] * columns.output.shape[1]
    step = max(1, _CHUNK_VALUES // max(planes.shape[0], 2 * pixels_per_cell))
    for start in range(0, len(cell_row), step):
        part = slice(start, start + step)
        cells = _Cells(cell_row[part], cell_column[part], rows, columns)
        winners = [corner[cells.row, cells.column] for corner in corners]
        _blend_cells(mask, cells, _find_contenders(planes, cells, winners))
    return mask


def resize_ids(
    ids: ClassMap, *, height: int, width: int, share: tuple[float, float] = (1.0, 1.0)
) -> ClassMap:
    """Pick the nearest class id for each of `height` x `width` pixels, from (H, W) ids.

    The ids are uint8 or uint16, and stay so.

    The function serves graphs that end in class ids. It is cheaper than `to_mask`, and coarser
    where the frame is larger than the network's input. `share` is the part of the ids that the
    frame covers.
    """
    rows = ((np.arange(height) + 0.5) * (ids.shape[0] * share[0] / height)).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * (ids.shape[1] * share[1] / width)).astype(np.intp)
    resized: ClassMap = ids[rows[:, None], columns]
    return resized


def resize_logits(planes: Planes, *, height: int, width: int, rows: range | None = None) -> Planes:
    """Resize logits bilinearly to `height` x `width`; return all rows or some of them.

    The logits are float32 (classes, h, w), the result is float32 (classes, rows, width).

    The result equals torch's `interpolate(mode="bilinear", align_corners=False)` up to rounding,
    for logits that are finite. If only the classes matter, `to_mask` is faster.
    """
    rows = range(height) if rows is None else rows
    resized = np.empty((len(planes), len(rows), width), np.float32)
    step = max(1, _CHUNK_VALUES // (len(planes) * width))
    for start in range(0, len(rows), step):
        resized[:, start : start + step] = resize_rows(
            lambda needed: planes[:, needed.start : needed.stop],
            of=planes.shape[1],
            height=height,
            width=width,
            rows=rows[start : start + step],
        )
    return resized


def resize_rows(
    read: Callable[[range], Planes], *, of: int, height: int, width: int, rows: range
) -> Planes:
    """Resize planes of `of` rows, not all of which need be in memory, to some rows.

    The result is that of `resize_logits`: from float32 (classes, rows, columns) to float32
    (classes, rows, width), of an image that is `height` x `width` pixels.

    `read` is called once, for the rows that are blended. It may resize, too: two steps then take no
    more memory than one. Where the size stays, its answer is the result.
    """
    if height == of:
        planes = read(rows)
    else:
        part = slice(rows.start, rows.stop)
        above, below, weight = _find_neighbors(height, of)
        first, last = above[part][0], below[part][-1]
        planes = read(range(int(first), int(last) + 1))
        planes = _blend(
            planes, above[part] - first, below[part] - first, weight[part, None], axis=1
        )
    if width == planes.shape[2]:
        return planes
    left, right, weight = _find_neighbors(width, planes.shape[2])
    return _blend(planes, left, right, weight, axis=2)


def _find_neighbors(
    outputs: int, inputs: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Find for each output the inputs below and above, and the share of the input above."""
    floor, weight = _find_positions(outputs, inputs, 1.0)
    low = np.clip(floor.astype(np.intp), 0, inputs - 1)
    return low, np.minimum(low + 1, inputs - 1), weight


def _blend(
    planes: Planes,
    low: npt.NDArray[np.intp],
    high: npt.NDArray[np.intp],
    weight: npt.NDArray[np.float32],
    *,
    axis: int,
) -> Planes:
    blended: Planes = planes.take(low, axis=axis)
    blended *= 1 - weight
    other = planes.take(high, axis=axis)
    other *= weight
    blended += other
    return blended


class _Axis(NamedTuple):
    """How output positions along one axis blend input positions, grouped into cells.

    A cell is a run of outputs between the same two inputs. Arrays have one row for each cell.
    `output` and `weight` are as wide as the longest run; shorter runs repeat their last output.
    """

    low: npt.NDArray[np.intp]  # (cells,) input below
    high: npt.NDArray[np.intp]  # (cells,) input above
    length: npt.NDArray[np.intp]  # (cells,) outputs in the cell
    output: npt.NDArray[np.intp]  # (cells, longest) their positions
    weight: npt.NDArray[np.float32]  # (cells, longest) share of `high`


def _blend_axis(outputs: int, inputs: int, share: float) -> _Axis:
    floor, weight = _find_positions(outputs, inputs, share)
    cell_floor, first, length = np.unique(floor, return_index=True, return_counts=True)
    low = np.clip(cell_floor.astype(np.intp), 0, inputs - 1)
    high = np.clip(cell_floor.astype(np.intp) + 1, 0, inputs - 1)
    output = first[:, None] + np.minimum(np.arange(length.max()), length[:, None] - 1)
    return _Axis(low, high, length, output, weight[output])


def _find_positions(
    outputs: int, inputs: int, share: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Find for each output the position of the input below, and the share of the one above.

    Half-pixel centers, as torch computes them: in float32, clamped at the first input.
    """
    scale = np.float32(inputs * share) / np.float32(outputs)
    position = scale * (np.arange(outputs, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    floor = np.floor(position)
    return floor, np.where(floor < 0, np.float32(0), position - floor)


def _argmax(planes: npt.NDArray[np.float32]) -> ClassMap:
    """Compute the argmax over axis 0 of (classes, h, w), plane by plane: faster than np.argmax."""
    dtype = np.uint8 if len(planes) <= 256 else np.uint16
    best = planes[0].copy()
    winner = np.zeros(best.shape, dtype)
    higher = np.empty(best.shape, bool)
    claim = np.empty(best.shape, dtype)
    for index in range(1, len(planes)):
        np.greater(planes[index], best, out=higher)
        np.maximum(planes[index], best, out=best)
        # Ids only grow, so the highest claim so far is the latest one.
        np.multiply(higher, dtype(index), out=claim)
        np.maximum(winner, claim, out=winner)
    if not np.isfinite(best).all():  # a NaN anywhere reaches `best`
        raise BackendError("the engine gave logits that are not finite; its artifact is unusable")
    return winner


def _take_corners(nearest: ClassMap, rows: _Axis, columns: _Axis) -> list[ClassMap]:
    above, below = nearest.take(rows.low, axis=0), nearest.take(rows.high, axis=0)
    return [
        corner.take(inputs, axis=1)
        for corner in (above, below)
        for inputs in (columns.low, columns.high)
    ]


class _Cells(NamedTuple):
    """Some cells of the grid that two axes make."""

    row: npt.NDArray[np.intp]  # (cells,) into `rows`
    column: npt.NDArray[np.intp]  # (cells,) into `columns`
    rows: _Axis
    columns: _Axis

    def take(self, which: npt.NDArray[np.intp]) -> _Cells:
        return self._replace(row=self.row[which], column=self.column[which])

    def corners(self, width: int) -> list[npt.NDArray[np.intp]]:
        """Index the four corners' values in a plane of that width: y then x, low then high."""
        return [
            y[self.row] * width + x[self.column]
            for y in (self.rows.low, self.rows.high)
            for x in (self.columns.low, self.columns.high)
        ]


class _Pairs(NamedTuple):
    """A cell and a class that may win in it, sorted by cell and then by class."""

    cell: npt.NDArray[np.intp]  # (pairs,)
    candidate: npt.NDArray[np.intp]  # (pairs,)
    values: list[npt.NDArray[np.float32]]  # four times (pairs,): the candidate's at the corners

    def take(self, which: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> _Pairs:
        values = [value[which] for value in self.values]
        return _Pairs(self.cell[which], self.candidate[which], values)


def _find_contenders(
    planes: npt.NDArray[np.float32], cells: _Cells, winners: list[ClassMap]
) -> _Pairs:
    """Find the classes that no other class beats in the whole cell.

    `winners` are the classes that win at the cell's corners. Only they are tested as beating a
    class. The two or three classes that remain in a cell, with trained models, are compared pixel
    by pixel.
    """
    flat = planes.reshape(len(planes), -1)
    corners = cells.corners(planes.shape[2])
    winning = [[flat[winner, corner] for corner in corners] for winner in winners]
    level = np.maximum.reduce([np.minimum.reduce(values) for values in winning])
    highest = flat.take(corners[0], axis=1)
    for corner in corners[1:]:
        np.maximum(highest, flat.take(corner, axis=1), out=highest)
    candidate, cell = np.nonzero(highest >= level)
    pairs = _Pairs(cell, candidate, [flat[candidate, corner[cell]] for corner in corners])
    for values in winning:
        beaten = np.ones(len(pairs.cell), bool)
        for own, value in zip(pairs.values, values, strict=True):
            beaten &= own < value[pairs.cell]
        pairs = pairs.take(~beaten)
    return pairs.take(np.argsort(pairs.cell, kind="stable"))


def _blend_cells(mask: ClassMap, cells: _Cells, pairs: _Pairs) -> None:
    """Interpolate the pairs and write the winners into `mask`.

    Candidates are compared by rank: all first ones, all second ones, and so on. The cells with most
    candidates come first, so that the cells that still have one of a rank are a leading part of all
    arrays. Cells are the last axis, so that NumPy's inner loops are long.
    """
    count = np.bincount(pairs.cell, minlength=len(cells.row))
    most_first = np.argsort(-count, kind="stable")
    first = (np.cumsum(count) - count)[most_first]
    left = -count[most_first]  # ascending, as searchsorted wants it
    cells = cells.take(most_first)
    across = cells.columns.weight.T.take(cells.column, axis=1)  # (columns, cells)
    down = cells.rows.weight.T.take(cells.row, axis=1)[:, None]  # (rows, 1, cells)
    shape = (down.shape[0], *across.shape)
    best = np.full(shape, -np.inf, np.float32)
    # Where the logits of all classes are minus infinity, the first class stands.
    winner = np.broadcast_to(pairs.candidate[first].astype(mask.dtype), shape).copy()
    for rank in range(-int(left[0])):
        still = slice(int(np.searchsorted(left, -rank)))
        pair = first[still] + rank
        a, b, c, d = (value[pair] for value in pairs.values)
        x, y = across[:, still], down[..., still]
        blended = (1 - y) * ((1 - x) * a + x * b)
        blended += y * ((1 - x) * c + x * d)
        # Ids only grow with the rank, so a tie stays with the lower one.
        ahead = blended > best[..., still]
        np.copyto(best[..., still], blended, where=ahead)
        np.copyto(winner[..., still], pairs.candidate[pair].astype(mask.dtype), where=ahead)
    output_row = cells.rows.output.T.take(cells.row, axis=1)[:, None]
    mask[output_row, cells.columns.output.T.take(cells.column, axis=1)] = winner
