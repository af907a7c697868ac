"""Turns every failure of an engine into a `BackendError` with one line.

Every engine is opened behind this check. The engine may raise any exception or give a wrong result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import numpy as np

from edgeseg.errors import BackendError
from edgeseg.pixels.arrays import LOGITS_DIMENSIONS
from edgeseg.text import to_plain

if TYPE_CHECKING:
    from edgeseg.pixels import Frame, Output
    from edgeseg.progress import Say
    from edgeseg.runtime.gpu.path import FramePath
    from edgeseg.spec import InputSpec

__all__ = [
    "REMEDY",
    "Checked",
    "Engine",
    "WholeFrames",
    "check_ends",
    "take_last_line",
    "name_failures",
]

REMEDY: Final = "export the bundle again, and if it stays so, in another precision"


class Engine(Protocol):
    """One compiled model, run directly by its engine."""

    @property
    def name(self) -> str:
        """The engine, its version and its settings, for reports."""

    @property
    def reuses_output(self) -> bool:
        """Whether each call of `infer` overwrites the previous result."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the uint8 image that the model takes: (1, H, W, C)."""

    def infer(self, frame: Frame, /) -> Output:
        """Compute the graph's output for an image of that shape. May raise any exception."""

    def close(self) -> None:
        """Release the engine. Called once."""


@runtime_checkable
class WholeFrames(Protocol):
    """What an engine on a device may offer beside `infer`."""

    def open_path(self, spec: InputSpec, *, classes: int, say: Say) -> FramePath:
        """Open the path on which whole frames of a spec become masks of so many classes.

        `say` receives what the user should know of the path. Close the path before the engine.

        Raises:
            BackendError: the device has no such path here; the message says why.
        """


class Checked:
    """A `Backend` that checks each of its engine's results: finite logits or ids, the right shape.

    `logits_shape` is (1, classes, h, w), where known. The check reads each frame's logits once, for
    their minimum and maximum, and takes no memory.
    """

    def __init__(self, engine: Engine, *, logits_shape: tuple[int, ...] | None = None) -> None:
        self._engine = engine
        self._logits_shape = logits_shape
        self._open = True
        self.name = engine.name
        self.reuses_output = engine.reuses_output

    def infer(self, frame: Frame, /) -> Output:
        """Map a uint8 (1, H, W, C) image to (1, classes, h, w) logits, or (1, H, W) class ids.

        Raises:
            BackendError: the image does not fit, the engine fails, or its result is not usable.
        """
        if not self._open:
            raise BackendError("this backend was closed; open the bundle again")
        expected = self._engine.input_shape
        if frame.shape != expected or frame.dtype != np.uint8:
            raise BackendError(f"the model takes uint8 {expected}, got {frame.dtype} {frame.shape}")
        with name_failures(self._short):
            output = self._engine.infer(frame)
        fault = _find_fault(output, self._logits_shape, ids_shape=expected[:-1])
        if fault is not None:
            raise BackendError(f"{self._short} gave {fault}; {REMEDY}")
        return output

    def open_path(self, spec: InputSpec, *, classes: int, say: Say) -> FramePath | None:
        """Open the engine's path of whole frames; None where the engine offers none.

        Raises:
            BackendError: the device has no such path here.
        """
        if not isinstance(self._engine, WholeFrames):
            return None
        with name_failures(self._short):
            return self._engine.open_path(spec, classes=classes, say=say)

    def close(self) -> None:
        """Release the engine. Calling twice is harmless."""
        if self._open:
            self._open = False
            self._engine.close()

    @property
    def _short(self) -> str:
        return self.name.partition(" (")[0]


def _find_fault(
    output: Output, logits_shape: tuple[int, ...] | None, *, ids_shape: tuple[int, ...]
) -> str | None:
    """Explain what is wrong with a result; None where it is usable logits or class ids."""
    kind, shape = output.dtype.kind, output.shape
    if kind in "iu" and shape == ids_shape:
        lowest, highest = int(output.min()), int(output.max())
        classes = 0 if logits_shape is None else logits_shape[1]
        if lowest < 0:
            return f"class id {lowest}, where none is below 0"
        wrong = 0 < classes <= highest
        return f"class id {highest} where there are {classes} classes" if wrong else None
    if kind != "f" or len(shape) != LOGITS_DIMENSIONS or shape != (logits_shape or shape):
        wanted = logits_shape or "(1, classes, h, w)"
        return f"{output.dtype} {shape} in the place of float32 {wanted} logits"
    # min and max give NaN where there is one. Unlike a map of finite values, they need no memory.
    finite = output.size and np.isfinite(output.min()) and np.isfinite(output.max())
    return None if finite else "logits that are not finite"


def check_ends(name: str, *, inputs: int, outputs: int) -> None:
    """Check that a model has one input and one output.

    Raises:
        BackendError: the model has another number of inputs or outputs.
    """
    if (inputs, outputs) != (1, 1):
        raise BackendError(
            f"{name} has {inputs} inputs and {outputs} outputs, where a bundle's model has one of "
            f"each; {REMEDY}"
        )


@contextmanager
def name_failures(engine: str) -> Iterator[None]:
    """Turn any exception of an engine in the block into an error of one line.

    Raises:
        BackendError: the block failed.
    """
    try:
        yield
    except BackendError:
        raise
    except Exception as error:  # engines' exceptions have no common base
        raise BackendError(f"{engine} failed: {take_last_line(error)}") from error


def take_last_line(error: Exception) -> str:
    """Take the last line of an engine's error; the lines above name places in its source."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return to_plain(lines[-1]) if lines else type(error).__name__
