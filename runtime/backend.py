"""The seam between edgeseg and an inference engine."""

from __future__ import annotations

from typing import Protocol

from edgeseg.bundle import Bundle
from edgeseg.errors import BackendError
from edgeseg.pixels import Frame, Logits

__all__ = ["Backend", "open_backend"]


class Backend(Protocol):
    """Runs one compiled model. Not thread-safe: open one a thread."""

    @property
    def name(self) -> str:
        """The engine and its version, for reports."""

    def infer(self, frame: Frame, /) -> Logits:
        """Map a uint8 BGR (1, H, W, 3) image to (1, classes, h, w) logits.

        The result may be overwritten by the next call; copy it to keep it.

        Raises:
            BackendError: the image is of another shape or dtype than the model takes.
        """

    def close(self) -> None:
        """Release the engine. Calling twice is harmless."""


def open_backend(bundle: Bundle, *, threads: int | None = None) -> Backend:
    """Open a bundle's chosen variant; `threads` is the engine's number, all cores by default.

    Raises:
        BackendError: no engine here runs this target, or it refuses the artifact.
        MissingPackageError: the engine is not installed.
    """
    match bundle.manifest.target:
        case "onnxruntime":
            from edgeseg.runtime.backends.ort import OrtBackend

            return OrtBackend(bundle.path(bundle.chosen.file), threads=threads)
        case target:
            raise BackendError(
                f"{bundle.folder} is for {target}, which this edgeseg cannot run; "
                f"run: pip install --upgrade edgeseg"
            )
