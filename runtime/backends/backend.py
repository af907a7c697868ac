"""The seam between edgeseg and an inference engine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError
from edgeseg.pixels import Frame, Output
from edgeseg.runtime.backends.checked import Checked, Engine
from edgeseg.runtime.backends.watcher import NOBODY, Watcher

__all__ = ["Backend", "open_artifact", "open_backend"]


class Backend(Protocol):
    """Runs one compiled model. Not thread-safe: open one a thread."""

    @property
    def name(self) -> str:
        """The engine, its version, and how it is set, for reports."""

    @property
    def reuses_output(self) -> bool:
        """Whether the next call overwrites what a call gave."""

    def infer(self, frame: Frame, /) -> Output:
        """Map a uint8 BGR (1, H, W, 3) image to (1, classes, h, w) logits, or (1, H, W) class ids.

        Where `reuses_output`, the next call overwrites the result; copy it to keep it.

        Raises:
            BackendError: the image is of another shape or dtype than the model takes, the engine
                fails, or what it gave has another shape or is not finite.
        """

    def close(self) -> None:
        """Release the engine. Calling twice is harmless."""


def open_backend(
    bundle: Bundle,
    *,
    variant: VariantInfo | None = None,
    threads: int | None = None,
    watcher: Watcher = NOBODY,
) -> Backend:
    """Open a variant of a bundle, the chosen one unless named; `threads` is all cores by default.

    `watcher` hears of an engine that has to be built here first.

    Raises:
        BackendError: no engine here runs this target, or it refuses the artifact.
        MissingPackageError: the engine is not installed.
    """
    variant = variant or bundle.chosen
    path = bundle.path(variant.file)
    return open_artifact(
        bundle.manifest.target,
        path,
        logits_shape=bundle.manifest.output_tensor.shape,
        compute=variant.compute,
        threads=threads,
        watcher=watcher,
    )


def open_artifact(
    target: str,
    path: Path,
    *,
    logits_shape: tuple[int, ...] | None = None,
    compute: str = "f32",
    threads: int | None = None,
    watcher: Watcher = NOBODY,
) -> Backend:
    """Open a target's artifact by its file; see `open_backend`, and `Checked` for the shape."""
    engine = _open_engine(target, path, compute=compute, threads=threads, watcher=watcher)
    return Checked(engine, logits_shape=logits_shape)


def _open_engine(
    target: str, path: Path, *, compute: str, threads: int | None, watcher: Watcher
) -> Engine:
    match target:
        case "onnxruntime":
            from edgeseg.runtime.backends.ort import OrtBackend

            return OrtBackend(path, threads=threads)
        case "openvino":
            from edgeseg.runtime.backends.openvino import OpenVinoBackend

            return OpenVinoBackend(path, compute=compute, threads=threads)
        case "jetson":
            from edgeseg.runtime.backends.trt_cache import open_engine

            return open_engine(path, watcher=watcher)
        case _:
            raise BackendError(
                f"{path} is for {target}, which this edgeseg cannot run; "
                f"run: pip install --upgrade edgeseg"
            )
