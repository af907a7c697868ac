"""TensorRT on a Jetson: the device builds each engine once, from a typed graph."""

from __future__ import annotations

from pathlib import Path

from edgeseg.progress import Progress
from edgeseg.runtime.backends import trt_cache
from edgeseg.runtime.backends.placing import Device
from edgeseg.runtime.backends.trt import TensorRtBackend

__all__ = ["identity", "list_devices", "open_batch", "open_engine"]


def open_engine(
    path: Path,
    *,
    compute: str,
    device: str,
    threads: int | None,
    keep: bool,
    progress: Progress,
) -> TensorRtBackend:
    """See `Runner`. The typed graph decides what it computes in; `threads` has no effect."""
    del compute, device, threads, keep  # a plan is always kept
    return trt_cache.open_engine(path, progress=progress)


def open_batch(path: Path, *, stream: int, progress: Progress) -> TensorRtBackend:
    """See `BatchRunner`."""
    return trt_cache.open_engine(path, stream=stream, progress=progress)


def list_devices() -> tuple[Device, ...]:
    """See `Runner`."""
    return (Device(name="gpu"),)


def identity() -> str:
    """See `Runner`: TensorRT, the GPU, its driver and the board.

    Raises:
        BackendError: TensorRT or CUDA is missing.
    """
    return repr(trt_cache.identify_software())
