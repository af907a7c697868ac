"""Frame to network input, and logits to mask: the one definition of both.

Calibration, accuracy checks and the device all go through these functions, so they cannot
disagree about resizing. Normalization is part of the graph.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg.errors import BackendError, MissingPackageError
from edgeseg.spec import Aspect, InputSpec, Resize

__all__ = [
    "Bgr",
    "ClassMap",
    "Frame",
    "Logits",
    "Output",
    "covered_share",
    "fitted_size",
    "resize_ids",
    "to_input",
    "to_mask",
]

Bgr = npt.NDArray[np.uint8]  # (H, W, 3), 0..255, blue first, as OpenCV and cameras deliver it
Frame = npt.NDArray[np.uint8]  # (1, H, W, 3), the network's input
Logits = npt.NDArray[np.float32]  # (1, classes, h, w)
ClassMap = npt.NDArray[
    np.unsignedinteger
]  # (H, W), class ids; uint8 up to 256 classes, else uint16
# What an engine gives: logits, or (1, H, W) class ids at the input's size.
Output: TypeAlias = "Logits | ClassMap"

# Values gathered at a time, 4 MB a corner in float32: large enough to hide NumPy's call overhead,
# small enough to stay in the cache of a small device.
_CHUNK_VALUES: Final = 1 << 20


def to_input(frame: Bgr, spec: InputSpec) -> Frame:
    """Resize a camera's image to the network's input, uint8 (1, height, width, 3) BGR.

    `Resize.PILLOW_BILINEAR` equals Hugging Face's image processor to the bit (Pillow does it, on
    uint8). `Resize.OPENCV_BILINEAR` needs OpenCV.

    Raises:
        MissingPackageError: the rule is OpenCV's and there is none.
    """
    height, width = fitted_size(frame.shape[0], frame.shape[1], spec)
    resized = _resize(frame, height, width, spec.resize)
    if (height, width) == (spec.height, spec.width):
        return resized[None]
    # Zero after normalization, as mmsegmentation pads: the mean colour.
    canvas = np.empty((1, spec.height, spec.width, 3), np.uint8)
    canvas[:] = np.rint(255 * np.array(spec.mean[::-1])).astype(np.uint8)
    canvas[0, :height, :width] = resized
    return canvas


def fitted_size(height: int, width: int, spec: InputSpec) -> tuple[int, int]:
    """Height and width, in pixels of the network's input, that a frame takes there."""
    if spec.aspect is Aspect.SQUASH:
        return spec.height, spec.width
    factor = min(spec.height / height, spec.width / width)
    # Rounded as mmcv.imrescale does: half up.
    return (
        min(max(int(height * factor + 0.5), 1), spec.height),
        min(max(int(width * factor + 0.5), 1), spec.width),
    )


def covered_share(height: int, width: int, spec: InputSpec) -> tuple[float, float]:
    """The part of the network's input that a frame covers, down and across, in 0..1."""
    fitted_height, fitted_width = fitted_size(height, width, spec)
    return fitted_height / spec.height, fitted_width / spec.width


def to_mask(
    logits: Logits, *, height: int, width: int, share: tuple[float, float] = (1.0, 1.0)
) -> ClassMap:
    """Bilinear logits at `height` x `width`, then the highest class; ties go to the lower id.

    Equals torch's `interpolate(mode="bilinear", align_corners=False)` and `argmax`, but where the
    two best logits differ by rounding only. `share` is the part of the logits' area that the frame
    covers (see `covered_share`).

    Every output pixel blends the four logits around it. Where the four have the same argmax, so has
    every blend of them, and the pixel is filled without interpolating. In the remaining cells a
    class whose largest corner is below another class's smallest corner cannot win and is skipped.

    Raises:
        BackendError: a logit is NaN or infinite, as FP16 overflow makes them.
    """
    planes = logits[0]
    nearest = _argmax(planes)
    if (height, width) == nearest.shape and share == (1.0, 1.0):
        return nearest
    rows = _blend_axis(height, planes.shape[1], share[0])
    columns = _blend_axis(width, planes.shape[2], share[1])
    corners = _corner_views(nearest, rows, columns)
    mixed = (corners[0] != corners[1]) | (corners[0] != corners[2]) | (corners[0] != corners[3])
    mask: ClassMap = np.repeat(np.repeat(corners[0], columns.length, axis=1), rows.length, axis=0)
    cell_row, cell_column = np.nonzero(mixed)
    pixels_per_cell = rows.output.shape[1] * columns.output.shape[1]
    step = max(1, _CHUNK_VALUES // max(planes.shape[0], 4 * pixels_per_cell))
    for start in range(0, len(cell_row), step):
        part = slice(start, start + step)
        _blend_cells(mask, planes, rows, columns, cell_row[part], cell_column[part])
    return mask


def resize_ids(
    ids: ClassMap, *, height: int, width: int, share: tuple[float, float] = (1.0, 1.0)
) -> ClassMap:
    """The class ids nearest to each of `height` x `width` pixels, from (H, W) ids.

    For graphs that end in class ids: cheaper than `to_mask`, and coarser where the frame is larger
    than the network's input. `share` is the part of the ids that the frame covers.
    """
    rows = ((np.arange(height) + 0.5) * (ids.shape[0] * share[0] / height)).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * (ids.shape[1] * share[1] / width)).astype(np.intp)
    resized: ClassMap = ids[rows[:, None], columns]
    return resized


class _Axis(NamedTuple):
    """How output positions along one axis blend input positions, grouped into cells.

    A cell is a run of outputs between the same two inputs. Arrays have a row a cell; `output` and
    `weight` are as wide as the longest run, shorter runs repeat their last output.
    """

    low: npt.NDArray[np.intp]  # (cells,) input below
    high: npt.NDArray[np.intp]  # (cells,) input above
    length: npt.NDArray[np.intp]  # (cells,) outputs in the cell
    output: npt.NDArray[np.intp]  # (cells, longest) their positions
    weight: npt.NDArray[np.float32]  # (cells, longest) share of `high`


def _blend_axis(outputs: int, inputs: int, share: float) -> _Axis:
    """Half-pixel centres, as torch computes them: in float32, clamped at the first input."""
    scale = np.float32(inputs * share) / np.float32(outputs)
    position = scale * (np.arange(outputs, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    floor = np.floor(position)
    cell_floor, first, length = np.unique(floor, return_index=True, return_counts=True)
    low = np.clip(cell_floor.astype(np.intp), 0, inputs - 1)
    high = np.clip(cell_floor.astype(np.intp) + 1, 0, inputs - 1)
    output = first[:, None] + np.minimum(np.arange(length.max()), length[:, None] - 1)
    weight = np.where(floor < 0, np.float32(0), position - floor)
    return _Axis(low, high, length, output, weight[output])


def _argmax(planes: npt.NDArray[np.float32]) -> ClassMap:
    """Argmax over axis 0 of (classes, h, w). By planes, which NumPy does faster than np.argmax."""
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


def _corner_views(nearest: ClassMap, rows: _Axis, columns: _Axis) -> list[ClassMap]:
    above, below = nearest.take(rows.low, axis=0), nearest.take(rows.high, axis=0)
    return [
        corner.take(inputs, axis=1)
        for corner in (above, below)
        for inputs in (columns.low, columns.high)
    ]


def _blend_cells(
    mask: ClassMap,
    planes: npt.NDArray[np.float32],
    rows: _Axis,
    columns: _Axis,
    cell_row: npt.NDArray[np.intp],
    cell_column: npt.NDArray[np.intp],
) -> None:
    """Interpolate the candidates of some cells and write the winners into `mask`."""
    flat = planes.reshape(len(planes), -1)
    stride = planes.shape[2]
    above, below = rows.low[cell_row] * stride, rows.high[cell_row] * stride
    left, right = columns.low[cell_column], columns.high[cell_column]
    corners = [flat.take(y + x, axis=1) for y in (above, below) for x in (left, right)]

    highest = np.maximum(np.maximum(corners[0], corners[1]), np.maximum(corners[2], corners[3]))
    lowest = np.minimum(np.minimum(corners[0], corners[1]), np.minimum(corners[2], corners[3]))
    cell, candidate = np.nonzero((highest >= lowest.max(axis=0)).T)

    a, b, c, d = (corner[candidate, cell][:, None] for corner in corners)
    across = columns.weight[cell_column][cell]
    down = rows.weight[cell_row][cell][:, :, None]
    upper = ((1 - across) * a + across * b)[:, None, :]
    lower = ((1 - across) * c + across * d)[:, None, :]
    blended = (1 - down) * upper + down * lower  # (pairs, rows, columns)

    first_pair = np.searchsorted(cell, np.arange(len(cell_row)))
    best = np.maximum.reduceat(blended, first_pair, axis=0)
    last_id = np.iinfo(mask.dtype).max
    claims = np.where(blended == best[cell], candidate.astype(mask.dtype)[:, None, None], last_id)
    winner = np.minimum.reduceat(claims, first_pair, axis=0)
    mask[rows.output[cell_row][:, :, None], columns.output[cell_column][:, None, :]] = winner


def _resize(frame: Bgr, height: int, width: int, rule: Resize) -> Bgr:
    if rule is Resize.OPENCV_BILINEAR:
        return _opencv_resize(frame, height, width)
    from PIL import Image

    # Pillow works channel by channel, so blue-first data may pass as RGB.
    image = Image.fromarray(np.ascontiguousarray(frame))
    resized: Bgr = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return resized


def _opencv_resize(frame: Bgr, height: int, width: int) -> Bgr:
    try:
        import cv2
    except ImportError:
        raise MissingPackageError(
            "OpenCV", purpose="this model's resizing rule", command="pip install 'edgeseg[opencv]'"
        ) from None
    resized = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)
