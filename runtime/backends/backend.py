"""The seam between edgeseg and an inference engine."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.pixels import Frame, Output
from edgeseg.progress import SILENT, Progress, Say
from edgeseg.runtime.backends.checked import Checked, Engine
from edgeseg.runtime.backends.placing import Device, find_device
from edgeseg.runtime.gpu.path import DeviceEngine, FramePath
from edgeseg.spec import InputSpec
from edgeseg.targets import find_target

__all__ = [
    "Backend",
    "BatchRunner",
    "Runner",
    "load_batch_runner",
    "load_runner",
    "name_device",
    "open_artifact",
    "open_backend",
]


class Backend(Protocol):
    """Runs one compiled model. Not thread-safe: open one backend for each thread."""

    @property
    def name(self) -> str:
        """The engine, its version and its settings, for reports."""

    @property
    def reuses_output(self) -> bool:
        """Whether each call of `infer` overwrites the previous result."""

    def infer(self, frame: Frame, /) -> Output:
        """Map a uint8 (1, H, W, C) image to (1, classes, h, w) logits, or (1, H, W) class ids.

        Where `reuses_output`, the next call overwrites the result; copy it to keep it.

        Raises:
            BackendError: the model does not take the image's shape or dtype, the engine fails, or
                the result has a wrong shape or is not finite.
        """

    def open_path(self, spec: InputSpec, *, classes: int, say: Say) -> FramePath | None:
        """Open the engine's path of whole frames; None where the engine offers none.

        `say` receives what the user should know of the path. Close the path before the engine.

        Raises:
            BackendError: the device has no such path here; the message says why.
        """

    def close(self) -> None:
        """Release the engine. Calling twice is harmless."""


class Runner(Protocol):
    """The module that runs a target's artifacts, `edgeseg/runtime/backends/NAME.py`."""

    def open_engine(
        self,
        path: Path,
        *,
        compute: str,
        device: str,
        threads: int | None,
        keep: bool,
        progress: Progress,
    ) -> Engine:
        """Open an artifact by the file that the engine takes.

        `compute` is the type that float parts compute in: `f32`, `bf16` or `f16`. `device` is the
        name of one of `list_devices`. `threads` None means all cores. `keep` says that the
        file will be opened again, so that what the engine compiles may stay in the user's cache.
        `progress` receives a line where an engine must be built first.

        Raises:
            DeviceError: the device cannot be used here, whatever the artifact.
            BackendError: the engine refuses the artifact.
            MissingPackageError: the engine is not installed.
        """

    def list_devices(self) -> tuple[Device, ...]:
        """List the devices that the engine offers here, the surest first.

        On the first, a bundle's own choice holds. Variants are proved and timed on each. A device
        that does not work may be listed: `open_engine` then says why. Nothing is raised where the
        engine is not installed.
        """

    def identity(self) -> str:
        """Describe the engine and all else here that decides which variant is the fastest.

        When the identity changes, variants are timed again.

        Raises:
            BackendError: the engine does not answer.
        """


class BatchRunner(Protocol):
    """What the runner of a target with graphs for several frames has beside a `Runner`'s."""

    def open_batch(self, path: Path, *, stream: int, progress: Progress) -> DeviceEngine:
        """Open a graph for several frames at once, whose work is queued in a stream of the device.

        Raises:
            BackendError: the engine refuses the graph, or the device has too little memory.
        """


def load_runner(target: str) -> Runner:
    """Import the module that runs a target's artifacts.

    Raises:
        BackendError: this edgeseg has no such target.
    """
    return cast("Runner", import_module(find_target(target).runner))


def name_device(target: str, variant: VariantInfo) -> str:
    """Name the device that a variant runs on: where it was placed, or the engine's first."""
    return find_device(variant) or load_runner(target).list_devices()[0].name


def load_batch_runner(target: str) -> BatchRunner:
    """Import the module that runs a target's graphs for several frames; the target has some."""
    return cast("BatchRunner", import_module(find_target(target).runner))


def open_backend(
    bundle: Bundle,
    *,
    variant: VariantInfo | None = None,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> Backend:
    """Open `variant` on its device, or the bundle's chosen one; `threads` is all cores by default.

    `progress` receives a line where an engine must be built first.

    Raises:
        BackendError: this edgeseg has no such target, or the engine refuses the artifact.
        MissingPackageError: the engine is not installed.
    """
    variant = variant or bundle.chosen
    path = bundle.path(variant.file)
    return open_artifact(
        bundle.manifest.target,
        path,
        logits_shape=bundle.manifest.output_tensor.shape,
        compute=variant.compute,
        device=find_device(variant),
        threads=threads,
        keep=True,
        progress=progress,
    )


def open_artifact(
    target: str,
    path: Path,
    *,
    logits_shape: tuple[int, ...] | None = None,
    compute: str = "f32",
    device: str | None = None,
    threads: int | None = None,
    keep: bool = False,
    progress: Progress = SILENT,
) -> Backend:
    """Open a target's artifact by its file; see `open_backend`, and `Checked.logits_shape`.

    `device` None is the engine's first. `keep` is for files that are opened again and again.
    """
    runner = load_runner(target)
    engine = runner.open_engine(
        path,
        compute=compute,
        device=device or runner.list_devices()[0].name,
        threads=threads,
        keep=keep,
        progress=progress,
    )
    return Checked(engine, logits_shape=logits_shape)
