"""The memory, the events and the graph of one frame that is under way on a device.

The frame and its results lie in memory that the host writes and reads: on a device that shares its
memory with the host, the same memory; otherwise, page-locked memory with a copy on the device.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import Bgr, ClassMap
from edgeseg.runtime.gpu.cuda import Cuda, view_host
from edgeseg.runtime.gpu.plan import FramePlan
from edgeseg.runtime.result import DeviceTimes

__all__ = ["Landed", "Mirror", "Slot"]


class Mirror:
    """An array on the host, and the same on the device; `stack` frees both."""

    def __init__(
        self,
        cuda: Cuda,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        *,
        shared: bool,
        stack: ExitStack,
    ) -> None:
        self._cuda = cuda
        self._shared = shared
        self.size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if shared:
            self._host, self.device = cuda.allocate_mapped(self.size)
            stack.callback(cuda.free_pinned, self._host)
        else:
            self._host = cuda.allocate_pinned(self.size)
            stack.callback(cuda.free_pinned, self._host)
            self.device = cuda.malloc(self.size)
            stack.callback(cuda.free, self.device)
        self.array: npt.NDArray[Any] = view_host(self._host, shape, dtype)

    def upload(self, stream: int) -> None:
        """Queue the copy to the device, where it is another memory."""
        if not self._shared:
            self._cuda.to_device(self.device, self._host, self.size, stream)

    def download(self, stream: int) -> None:
        """Queue the copy to the host, where it is another memory."""
        if not self._shared:
            self._cuda.to_host(self._host, self.device, self.size, stream)


class Landed(NamedTuple):
    """What came back of a frame, in memory of its own.

    `mask` holds class ids (H, W); `counts` are the pixels of each class, int32 (classes,).
    `overlay` is uint8 BGR (H, W, 3), `nv12` the same for encoders, uint8 (3/2 H, W), both sides
    rounded up to even; one of them at most is there, as the lane draws it.
    """

    mask: ClassMap
    counts: npt.NDArray[np.int32]
    overlay: Bgr | None
    nv12: npt.NDArray[np.uint8] | None
    device: DeviceTimes


class Slot:
    """Where one frame is under way. `stack` frees its memory and events.

    `uses` counts the frames that were here. `together` is the number of frames that its events are
    of, one or those of a group: each takes its share of their times. `graph` is what
    `Cuda.instantiate` made of the calls of this slot; None before.
    """

    def __init__(
        self, cuda: Cuda, plan: FramePlan, size: tuple[int, int], *, shared: bool, stack: ExitStack
    ) -> None:
        self._cuda = cuda

        def mirror(name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Mirror:
            made = Mirror(cuda, shape, dtype, shared=shared, stack=stack)
            assert made.size == plan.buffers[name], "the plan is for frames of this size"
            return made

        def event(*, timed: bool = True) -> int:
            made = cuda.event(timed=timed)
            stack.callback(cuda.destroy_event, made)
            return made

        wide = plan.buffers["mask"] > size[0] * size[1]
        self.frame = mirror("frame", (*size, 3), np.uint8)
        self._results = {
            "mask": mirror("mask", size, np.uint16 if wide else np.uint8),
            "counts": mirror("counts", (plan.buffers["counts"] // 4,), np.int32),
            "fault": mirror("fault", (1,), np.int32),
        }
        if "nv12" in plan.buffers:  # the overlay itself stays on the device
            height, width = (side + side % 2 for side in size)
            self._results["nv12"] = mirror("nv12", (3 * height // 2, width), np.uint8)
        elif "overlay" in plan.buffers:
            self._results["overlay"] = mirror("overlay", (*size, 3), np.uint8)
        self.uploading, self.uploaded = event(), event()
        self.begun, self.prepared, self.inferred = event(), event(), event()
        self.masked, self.landed = event(), event()
        self.done = event(timed=False)
        self.uses = 0
        self.together = 1
        self.graph: int | None = None

    @property
    def addresses(self) -> dict[str, int]:
        """Where the frame and its results lie on the device."""
        results = {name: mirror.device for name, mirror in self._results.items()}
        return {"frame": self.frame.device, **results}

    @property
    def fault(self) -> int:
        """The plan's "fault" of the frame that has landed."""
        return int(self._results["fault"].array[0])

    def download(self, stream: int) -> None:
        """Queue the copies of the results to the host."""
        for mirror in self._results.values():
            mirror.download(stream)

    def copy_results(self) -> Landed:
        """Copy the results of the frame that has landed."""
        found = {name: mirror.array.copy() for name, mirror in self._results.items()}
        return Landed(
            mask=found["mask"],
            counts=found["counts"],
            overlay=found.get("overlay"),
            nv12=found.get("nv12"),
            device=self._measure(),
        )

    def _measure(self) -> DeviceTimes:
        def measure(begun: int, ended: int) -> float:
            return self._cuda.measure(begun, ended) / self.together

        return DeviceTimes(
            upload_ms=self._cuda.measure(self.uploading, self.uploaded),
            prepare_ms=measure(self.begun, self.prepared),
            engine_ms=measure(self.prepared, self.inferred),
            mask_ms=measure(self.inferred, self.masked),
            download_ms=measure(self.masked, self.landed),
        )
