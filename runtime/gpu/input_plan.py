"""Plans how a frame becomes the network's input, and proves the plan against `to_input`."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeseg.pixels import Bgr, fit_size, to_input
from edgeseg.pixels.input import find_padding
from edgeseg.runtime.gpu.launches import Launch, Stage, Table
from edgeseg.runtime.gpu.opencv_steps import list_opencv_ways
from edgeseg.runtime.gpu.pillow_steps import list_pillow_ways
from edgeseg.runtime.gpu.steps import Step, pick
from edgeseg.spec import InputSpec, Resize

__all__ = ["plan_input"]

# Frames of noise that a way is proved on; larger frames than these pixels need one.
_MOST_FRAMES: Final = 16
_ENOUGH_PIXELS: Final = 1 << 11


def plan_input(height: int, width: int, spec: InputSpec) -> Stage | None:
    """Plan the input of frames of that size in pixels; None where no known way is `to_input`'s.

    Pillow and OpenCV round in ways that differ between versions and processors. So each way is
    tried in NumPy, on noise, against the installed library.

    Raises:
        MissingPackageError: the rule is OpenCV's and OpenCV is not installed.
    """
    fitted = fit_size(height, width, spec)
    noise = _draw_noise(height, width)
    expected = np.stack([to_input(one, spec)[0, : fitted[0], : fitted[1]] for one in noise])
    for way in _list_ways((height, width), fitted, spec.resize):
        made = noise
        for step in way:
            made = step.compute(made)
        if np.array_equal(made, expected):
            return _pack(way, spec)
    return None


def _list_ways(
    size: tuple[int, int], fitted: tuple[int, int], rule: Resize
) -> list[tuple[Step, ...]]:
    if size == fitted:
        rows, columns = (np.arange(side, dtype=np.int32) for side in size)
        return [(pick(rows, columns, size[1]),)]
    if rule is Resize.OPENCV_BILINEAR:
        return list_opencv_ways(size, fitted)
    return list_pillow_ways(size, fitted, rule)


def _draw_noise(height: int, width: int) -> Bgr:
    """Draw frames, (frames, height, width, 3); their lower halves are black and white."""
    frames = min(1 + _ENOUGH_PIXELS // (height * width), _MOST_FRAMES)
    noise = np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), np.uint8)
    noise[:, height // 2 :] = np.where(noise[:, height // 2 :] < 128, 0, 255)
    return noise


def _pack(way: tuple[Step, ...], spec: InputSpec) -> Stage:
    """Chain the steps. The last one writes the whole input, of the mean color beside the frame."""
    blue, green, red = find_padding(spec).tolist()
    color = blue | green << 8 | red << 16
    tables: dict[str, Table] = {}
    buffers = {"input": spec.height * spec.width * 3}
    launches: list[Launch] = []
    source = "frame"
    for number, step in enumerate(way):
        final = number == len(way) - 1
        target = "input" if final else "resized"
        canvas = (spec.height, spec.width) if final else step.size
        buffers |= {target: canvas[0] * canvas[1] * 3}
        named: dict[str, Table] = {
            f"{step.kernel}.{name}": table for name, table in step.tables.items()
        }
        tables |= named
        launches.append(
            Launch(
                kernel=step.kernel,
                threads=(canvas[1], canvas[0]),
                arguments=(source, *named, target, *step.numbers, *canvas, color),
            )
        )
        source = target
    return Stage(tables, buffers, tuple(launches))
