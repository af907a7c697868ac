"""Plans what a GPU computes for frames of one size: from the frame to the mask and the overlay.

A plan is plain data, made with NumPy. `pixels`, and the libraries that it uses, define what is
computed. The plan's tables carry the definition to the kernels, which add up in the same order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import LOGITS_DIMENSIONS, measure_coverage
from edgeseg.progress import Say, ignore
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.gpu.drawing_plan import plan_drawing
from edgeseg.runtime.gpu.input_plan import plan_input
from edgeseg.runtime.gpu.launches import FramePlan, Launch, Stage, Table
from edgeseg.runtime.gpu.mask_plan import Target, plan_counts, plan_ids, plan_logits
from edgeseg.spec import RGB, InputSpec

__all__ = ["FramePlan", "Launch", "Table", "plan_frame"]

_ID_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.int32))


def plan_frame(
    height: int,
    width: int,
    spec: InputSpec,
    *,
    output_shape: tuple[int, ...],
    output_dtype: npt.DTypeLike,
    classes: int | None = None,
    drawing: Drawing | None = None,
    say: Say = ignore,
) -> FramePlan | None:
    """Plan the frames of that size in pixels; None where the CPU has to make input and masks.

    The engine's output is logits (1, classes, h, w), float32 or float16, or class ids (1, h, w),
    uint8, uint16 or int32. `classes` is the number of classes where the output is class ids; by
    default as many as the ids' type can tell apart, 65536 at most. With `drawing`, the overlay of
    each frame is made, too. `say` gets a line with the reason where there is no plan.

    Raises:
        MissingPackageError: the rule of resizing is OpenCV's and OpenCV is not installed.
    """
    dtype = np.dtype(output_dtype)
    reason = _find_hindrance(spec, output_shape, dtype)
    made = None if reason else plan_input(height, width, spec)
    if made is None:
        reason = reason or (
            f"the library installed here resizes by {spec.resize.value} in another way than the "
            f"kernels"
        )
        say(f"the CPU prepares frames of {height}x{width} and makes their masks: {reason}")
        return None
    target = Target(
        height=height,
        width=width,
        share=measure_coverage(height, width, spec),
        classes=_count_classes(output_shape, dtype, classes),
    )
    masked = _plan_mask(output_shape, dtype, target, spec)
    drawn = Stage({}, {}, ()) if drawing is None else plan_drawing(drawing, target)
    start = Launch(
        kernel="clear",
        threads=(target.classes, 1),
        arguments=("counts", "fault", target.classes),
    )
    fixed = {
        "frame": height * width * 3,
        "output": int(np.prod(output_shape)) * dtype.itemsize,
        "mask": height * width * target.bytes,
        "counts": 4 * target.classes,
        "fault": 4,
    }
    return FramePlan(
        tables={**made.tables, **masked.tables, **drawn.tables},
        buffers={**fixed, **made.buffers, **masked.buffers, **drawn.buffers},
        before=made.launches,
        after=(start, *masked.launches, plan_counts(target), *drawn.launches),
    )


def _find_hindrance(
    spec: InputSpec, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> str | None:
    """Explain why the kernels do not serve; None where they do."""
    if spec.channels != RGB:
        return f"the network takes {spec.channels} channels, and the kernels take three"
    if not shape or shape[0] != 1:
        return f"the engine's output is {shape}, and the kernels take one frame at a time"
    logits = len(shape) == LOGITS_DIMENSIONS and dtype in {np.dtype("f4"), np.dtype("f2")}
    ids = len(shape) == LOGITS_DIMENSIONS - 1 and dtype in _ID_TYPES
    return None if logits or ids else f"the engine's output is {dtype} {shape}"


def _count_classes(shape: tuple[int, ...], dtype: np.dtype[np.generic], classes: int | None) -> int:
    if len(shape) == LOGITS_DIMENSIONS:
        return shape[1]
    return classes or (256 if dtype.itemsize == 1 else 65536)


def _plan_mask(
    shape: tuple[int, ...], dtype: np.dtype[np.generic], target: Target, spec: InputSpec
) -> Stage:
    size = (shape[-2], shape[-1])
    if len(shape) == LOGITS_DIMENSIONS:
        return plan_logits(size, target, spec.upsampling, half=dtype.itemsize == 2)
    return plan_ids(size, target, given_bytes=dtype.itemsize)
