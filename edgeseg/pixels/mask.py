"""Turns logits into masks: bilinear logits at the frame's size, then the highest class."""

from __future__ import annotations

from functools import reduce
from typing import Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from edgeseg.errors import BackendError
from edgeseg.pixels.arrays import LOGITS_DIMENSIONS, Bgr, ClassMap, Logits, Output
from edgeseg.pixels.axis import Axis, follow_frame, group_cells, pick_nearest
from edgeseg.pixels.input import measure_coverage
from edgeseg.spec import InputSpec, Upsampling

__all__ = ["find_id_type", "to_frame_mask", "resize_ids", "to_mask"]

# Values worked on at a time, 1 MB in float32: large enough to hide NumPy's call overhead, small
# enough for a cache. Of 2^15 to 2^20 this was the fastest, with 150 classes.
_CHUNK_VALUES: Final = 1 << 18

# Replaces minus infinity, which a share of zero would make NaN; lower than any trained logit.
_SWITCHED_OFF: Final = np.float32(-1e30)

_Values = npt.NDArray[np.float32]


def to_frame_mask(output: Output, spec: InputSpec, frame: Bgr) -> ClassMap:
    """Turn an engine's output for a frame into class ids at the frame's own size.

    The output is float32 (1, classes, h, w) logits, or (1, h, w) class ids. The frame is uint8
    (H, W, 3); the mask is (H, W), uint8 up to 256 classes, else uint16.

    Raises:
        BackendError: a logit is NaN or plus infinity.
    """
    height, width = frame.shape[:2]
    share = measure_coverage(height, width, spec)
    if output.ndim == LOGITS_DIMENSIONS:
        return to_mask(
            cast("Logits", output),
            height=height,
            width=width,
            share=share,
            upsampling=spec.upsampling,
        )
    return resize_ids(cast("ClassMap", output[0]), height=height, width=width, share=share)


def to_mask(
    logits: Logits,
    *,
    height: int,
    width: int,
    share: tuple[float, float] = (1.0, 1.0),
    upsampling: Upsampling = Upsampling.HALF_PIXEL,
) -> ClassMap:
    """Resize logits bilinearly to `height` x `width`, then take the highest class.

    The logits are float32 (1, classes, h, w); the mask is (height, width), uint8 up to 256 classes,
    else uint16. Ties go to the lower id.

    The mask equals torch's `interpolate(mode="bilinear", align_corners=False)` and `argmax`, except
    where the two best logits differ by rounding only. With `Upsampling.ALIGN_CORNERS` it equals two
    steps: `interpolate(scale_factor=4, align_corners=True)` first. `share` is the part of the
    logits' area that the frame covers (see `measure_coverage`).

    Every output pixel blends the four logits around it, or up to nine in two steps. Where all of
    them have the same argmax, so has every blend, and the pixel is filled without interpolation. In
    the remaining cells a class is skipped if it cannot win: another class is above it at each of
    the logits, or another class's smallest is above its largest.

    Raises:
        BackendError: a logit is NaN or plus infinity, as FP16 overflow makes them.
    """
    planes = logits[0]
    nearest = _argmax(planes)
    same = (height, width) == nearest.shape and share == (1.0, 1.0)
    if same and upsampling is Upsampling.HALF_PIXEL:
        return nearest
    rows = follow_frame(height, planes.shape[1], share[0], upsampling)
    columns = follow_frame(width, planes.shape[2], share[1], upsampling)
    mask: ClassMap = nearest.take(columns.inputs[0], axis=1).take(rows.inputs[0], axis=0)
    _fill_mixed(mask, planes, nearest, group_cells(rows), group_cells(columns))
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
    rows = pick_nearest(height, ids.shape[0], share[0])
    columns = pick_nearest(width, ids.shape[1], share[1])
    resized: ClassMap = ids[rows[:, None], columns]
    return resized


def find_id_type(classes: int) -> type[np.uint8 | np.uint16]:
    """Find the type of the ids of so many classes."""
    return np.uint8 if classes <= 256 else np.uint16


def _argmax(planes: _Values) -> ClassMap:
    """Compute the argmax over axis 0 of (classes, h, w), plane by plane: faster than np.argmax."""
    dtype = find_id_type(len(planes))
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


def _fill_mixed(
    mask: ClassMap, planes: _Values, nearest: ClassMap, rows: Axis, columns: Axis
) -> None:
    """Write into `mask` the winners of the cells whose inputs have several classes."""
    inputs = _take_inputs(nearest, rows, columns)
    mixed = reduce(np.logical_or, (one != inputs[0] for one in inputs[1:]))
    cell_row, cell_column = np.nonzero(mixed)
    pixels_per_cell = rows.output.shape[1] * columns.output.shape[1]
    step = max(1, _CHUNK_VALUES // max(planes.shape[0], 2 * pixels_per_cell))
    # The outer corners: their winners suffice to skip classes, and are fewer than all inputs'.
    last = len(columns.inputs) - 1
    outer = [inputs[0], inputs[last], inputs[-1 - last], inputs[-1]]
    for start in range(0, len(cell_row), step):
        part = slice(start, start + step)
        cells = _Cells(cell_row[part], cell_column[part], rows, columns)
        winners = [one[cells.row, cells.column] for one in outer]
        _blend_cells(mask, cells, _find_contenders(planes, cells, winners))


def _take_inputs(nearest: ClassMap, rows: Axis, columns: Axis) -> list[ClassMap]:
    return [
        line.take(across, axis=1)
        for line in [nearest.take(down, axis=0) for down in rows.inputs]
        for across in columns.inputs
    ]


class _Cells(NamedTuple):
    """Some cells of the grid that two axes make."""

    row: npt.NDArray[np.intp]  # (cells,) into `rows`
    column: npt.NDArray[np.intp]  # (cells,) into `columns`
    rows: Axis
    columns: Axis

    def take(self, which: npt.NDArray[np.intp]) -> _Cells:
        return self._replace(row=self.row[which], column=self.column[which])

    def locate_inputs(self, width: int) -> list[npt.NDArray[np.intp]]:
        """Index the inputs' values in a plane of that width: y then x, ascending."""
        return [
            y[self.row] * width + x[self.column]
            for y in self.rows.inputs
            for x in self.columns.inputs
        ]


class _Pairs(NamedTuple):
    """A cell and a class that may win in it, sorted by cell and then by class."""

    cell: npt.NDArray[np.intp]  # (pairs,)
    candidate: npt.NDArray[np.intp]  # (pairs,)
    values: list[_Values]  # each (pairs,): the candidate's, at one of the cell's inputs

    def take(self, which: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> _Pairs:
        values = [value[which] for value in self.values]
        return _Pairs(self.cell[which], self.candidate[which], values)


def _find_contenders(planes: _Values, cells: _Cells, winners: list[ClassMap]) -> _Pairs:
    """Find the classes that no other class beats in the whole cell.

    `winners` are the classes that win at the cell's corners. Only they are tested as beating a
    class. The two or three classes that remain in a cell, with trained models, are compared pixel
    by pixel.
    """
    flat = planes.reshape(len(planes), -1)
    inputs = cells.locate_inputs(planes.shape[2])
    winning = [[flat[winner, one] for one in inputs] for winner in winners]
    level = np.maximum.reduce([np.minimum.reduce(values) for values in winning])
    highest = flat.take(inputs[0], axis=1)
    for one in inputs[1:]:
        np.maximum(highest, flat.take(one, axis=1), out=highest)
    candidate, cell = np.nonzero(highest >= level)
    values = [np.maximum(flat[candidate, one[cell]], _SWITCHED_OFF) for one in inputs]
    pairs = _Pairs(cell, candidate, values)
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
    across = [one.T.take(cells.column, axis=1) for one in cells.columns.shares]  # (columns, cells)
    down = [one.T.take(cells.row, axis=1)[:, None] for one in cells.rows.shares]  # (rows, 1, cells)
    shape = (down[0].shape[0], *across[0].shape)
    best = np.full(shape, -np.inf, np.float32)
    # Where the logits of all classes are minus infinity, the first class stands.
    winner = np.broadcast_to(pairs.candidate[first].astype(mask.dtype), shape).copy()
    for rank in range(-int(left[0])):
        still = slice(int(np.searchsorted(left, -rank)))
        pair = first[still] + rank
        values = [value[pair] for value in pairs.values]
        lines = [
            _weigh([one[:, still] for one in across], values[start : start + len(across)])
            for start in range(0, len(values), len(across))
        ]
        blended = _weigh([one[..., still] for one in down], lines)
        # Ids only grow with the rank, so a tie stays with the lower one.
        ahead = blended > best[..., still]
        np.copyto(best[..., still], blended, where=ahead)
        np.copyto(winner[..., still], pairs.candidate[pair].astype(mask.dtype), where=ahead)
    output_row = cells.rows.output.T.take(cells.row, axis=1)[:, None]
    mask[output_row, cells.columns.output.T.take(cells.column, axis=1)] = winner


def _weigh(shares: list[_Values], values: list[_Values]) -> _Values:
    """Add up values, each times its share."""
    total = shares[0] * values[0]
    for share, value in zip(shares[1:], values[1:], strict=True):
        total += share * value
    return total
