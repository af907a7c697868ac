"""Opens the path of whole frames for an engine: its kernels, and its plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.progress import Say
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.gpu.kernel_cache import open_kernels
from edgeseg.runtime.gpu.path import DeviceEngine, FramePath
from edgeseg.runtime.gpu.plan import FramePlan, plan_frame
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from edgeseg.pixels import Output

__all__ = ["open_path"]


def open_path(
    engine: DeviceEngine, spec: InputSpec, output: Output, *, classes: int, say: Say
) -> FramePath:
    """Open the path on which frames become masks of so many classes; close it before the engine.

    `output` is an array of the engine's output's shape and type. `say` receives why frames of a
    size take another path, and what the user should know.

    Raises:
        BackendError: the kernels cannot be compiled here; the message says why.
    """

    def plan(height: int, width: int, drawing: Drawing | None) -> FramePlan | None:
        return plan_frame(
            height,
            width,
            spec,
            output_shape=output.shape,
            output_dtype=output.dtype,
            classes=classes,
            drawing=drawing,
            say=say,
        )

    return FramePath(engine, open_kernels(engine.cuda, say=say), plan, say)
