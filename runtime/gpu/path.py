"""The path of a whole frame on a device: upload, input, engine, mask, and back.

    upload stream    frame n+1 ─────▶
    stream           input n ▶ engine n ▶ mask n ▶ download n ▶ input n+1 ▶ ...
    host             copies frame n+2           reads mask n

A path has one engine, and a lane for each source (`lane.py`). What the stream does for a frame is
queued call by call for the first frame of a size, and is one CUDA graph from then on, where the
device takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import lru_cache
from typing import Final, Protocol

from edgeseg.errors import BackendError, DeviceLostError
from edgeseg.progress import Say
from edgeseg.runtime.gpu.buffers import FrameBuffers
from edgeseg.runtime.gpu.cuda import Cuda
from edgeseg.runtime.gpu.plan import FramePlan, Launch
from edgeseg.runtime.gpu.slots import Slot
from edgeseg.runtime.legend import Legend

__all__ = ["DeviceEngine", "FramePath", "Kernels", "Planner"]

_SIZES: Final = 8  # whose plans are kept

# Plans frames of a height and width, with an overlay in the colors of a legend or without; None
# where frames of that size take another path.
Planner = Callable[[int, int, Legend | None], FramePlan | None]


class Kernels(Protocol):
    """The compiled kernels of a device."""

    def launch(self, launch: Launch, addresses: Mapping[str, int], stream: int) -> None:
        """Queue a kernel; `addresses` are those of all buffers and tables, by name.

        Raises:
            BackendError: the device does not take it.
        """

    def close(self) -> None:
        """Release the kernels."""


class DeviceEngine(Protocol):
    """An engine whose input and output lie on the device, with a stream of its own."""

    @property
    def name(self) -> str:
        """The engine, its version and its settings."""

    @property
    def cuda(self) -> Cuda:
        """The runtime library that the engine uses."""

    @property
    def stream(self) -> int:
        """The stream that the engine works in."""

    @property
    def ends(self) -> Mapping[str, int]:
        """Where "input" and "output" lie on the device."""

    def enqueue(self) -> None:
        """Queue one inference in the stream.

        Raises:
            BackendError: the engine refuses.
        """


class FramePath:
    """Whole frames through one engine. One thread at a time launches frames; any other waits.

    Where the device refuses a CUDA graph, `say` receives one line. Close the lanes before the path,
    and the path before the engine.
    """

    def __init__(self, engine: DeviceEngine, kernels: Kernels, planner: Planner, say: Say) -> None:
        self._engine, self._kernels = engine, kernels
        self._captures = True
        self.say = say
        self.plan = lru_cache(maxsize=_SIZES)(planner)
        self.cuda = engine.cuda
        self.shared = self.cuda.shares_memory()
        with ExitStack() as stack:
            stack.callback(kernels.close)
            self._uploads = engine.stream if self.shared else self.cuda.stream()
            if not self.shared:
                stack.callback(self.cuda.destroy, self._uploads)
            self._release = stack.pop_all()

    @property
    def name(self) -> str:
        """The engine, its version and its settings."""
        return self._engine.name

    def make_buffers(self, plan: FramePlan, height: int, width: int) -> FrameBuffers:
        """Make the buffers of frames of one size.

        Raises:
            BackendError: the device has too little memory for them.
        """
        return FrameBuffers(
            self.cuda, plan, (height, width), ends=self._engine.ends, shared=self.shared
        )

    def launch(self, buffers: FrameBuffers, slot: Slot) -> None:
        """Queue all that is done for the frame in a slot. No call waits for the device.

        Raises:
            BackendError: a call fails.
        """
        stream, cuda = self._engine.stream, self.cuda
        try:
            cuda.record(slot.uploading, self._uploads)
            slot.frame.upload(self._uploads)
            cuda.record(slot.uploaded, self._uploads)
            cuda.hold_until(stream, slot.uploaded)
            if slot.graph is None and buffers.warm and self._captures:
                slot.graph = self._capture(buffers, slot)
            if slot.graph is None:
                self._queue(buffers, slot)
            else:
                cuda.launch_graph(slot.graph, stream)
            cuda.record(slot.done, stream)
            buffers.warm = True
        except BackendError:
            self.settle()
            raise

    def settle(self) -> None:
        """Wait for all that is queued.

        Raises:
            DeviceLostError: the device was lost meanwhile.
        """
        for stream in {self._uploads, self._engine.stream}:
            self.cuda.synchronize(stream)

    def close(self) -> None:
        """Release the kernels and the stream."""
        self._release.close()

    def _queue(self, buffers: FrameBuffers, slot: Slot, *, captured: bool = False) -> None:
        stream, record, launch = self._engine.stream, self.cuda.record, self._kernels.launch
        addresses = buffers.locate(slot)
        record(slot.begun, stream, captured=captured)
        for one in buffers.plan.before:
            launch(one, addresses, stream)
        record(slot.prepared, stream, captured=captured)
        self._engine.enqueue()
        record(slot.inferred, stream, captured=captured)
        for one in buffers.plan.after:
            launch(one, addresses, stream)
        record(slot.masked, stream, captured=captured)
        slot.download(stream)
        record(slot.landed, stream, captured=captured)

    def _capture(self, buffers: FrameBuffers, slot: Slot) -> int | None:
        """Make a graph of what is queued for a slot; None where the device refuses."""
        try:
            graph = self._record_graph(buffers, slot)
            try:
                ready = self.cuda.instantiate(graph)
            finally:
                self.cuda.destroy_graph(graph)
        except DeviceLostError:
            raise
        except BackendError as error:
            self._captures = False
            self.say(f"{self.name}: frames are queued call by call, for no CUDA graph: {error}")
            return None
        buffers.keep_graph(ready)
        return ready

    def _record_graph(self, buffers: FrameBuffers, slot: Slot) -> int:
        stream = self._engine.stream
        self.cuda.begin_capture(stream)
        try:
            self._queue(buffers, slot, captured=True)
        except BackendError:
            with suppress(BackendError):  # the first error says why
                self.cuda.destroy_graph(self.cuda.end_capture(stream))
            raise
        return self.cuda.end_capture(stream)
