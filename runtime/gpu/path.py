"""The path of a whole frame on a device: upload, input, engine, mask, and back.

    upload stream    frame n+1 ─────▶
    stream           input n ▶ engine n ▶ mask n ▶ download n ▶ input n+1 ▶ ...
    host             copies frame n+2           reads mask n

A path has one engine, and a lane for each source (`lane.py`). What the stream does for a frame is
queued call by call for the first frame of a size, and is one CUDA graph from then on, where the
device takes it. `batch.py` sends a frame of each of several lanes through another engine at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from functools import lru_cache, partial
from typing import Final, Protocol

from edgeseg.errors import BackendError, DeviceLostError
from edgeseg.progress import Say
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.gpu.buffers import FrameBuffers
from edgeseg.runtime.gpu.cuda import Cuda
from edgeseg.runtime.gpu.plan import FramePlan, Launch
from edgeseg.runtime.gpu.slots import Slot

__all__ = ["DeviceEngine", "FramePath", "Kernels", "Planner"]

_SIZES: Final = 8  # whose plans are kept

# Plans frames of a height and width, with what is drawn of them, if anything; None where frames of
# that size take another path.
Planner = Callable[[int, int, Drawing | None], FramePlan | None]


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

    @property
    def sizes(self) -> Mapping[str, int]:
        """The bytes of "input" and "output"."""

    def enqueue(self) -> None:
        """Queue one inference in the stream.

        Raises:
            BackendError: the engine refuses.
        """

    def close(self) -> None:
        """Release the engine."""


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

    @property
    def stream(self) -> int:
        """The stream of the engine, in which all work on frames is queued."""
        return self._engine.stream

    @property
    def sizes(self) -> Mapping[str, int]:
        """The bytes of the engine's "input" and "output" for one frame."""
        return self._engine.sizes

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
        stream, cuda = self.stream, self.cuda
        slot.together = 1
        try:
            self.upload(slot)
            if slot.graph is None and buffers.warm:
                slot.graph = self.capture(partial(self._queue, buffers, slot, captured=True))
                if slot.graph is not None:
                    buffers.keep_graph(slot.graph)
            if slot.graph is None:
                self._queue(buffers, slot)
            else:
                cuda.launch_graph(slot.graph, stream)
            cuda.record(slot.done, stream)
            buffers.warm = True
        except BackendError:
            self.settle()
            raise

    def upload(self, slot: Slot) -> None:
        """Queue the upload of a slot's frame, and let the stream wait for it."""
        self.cuda.record(slot.uploading, self._uploads)
        slot.frame.upload(self._uploads)
        self.cuda.record(slot.uploaded, self._uploads)
        self.cuda.hold_until(self.stream, slot.uploaded)

    def compute(self, launches: Iterable[Launch], addresses: Mapping[str, int]) -> None:
        """Queue kernels in the stream."""
        for one in launches:
            self._kernels.launch(one, addresses, self.stream)

    def capture(self, queue: Callable[[], None]) -> int | None:
        """Make a graph of what `queue` queues in the stream; None where the device refuses."""
        if not self._captures:
            return None
        try:
            graph = self._record_graph(queue)
            try:
                return self.cuda.instantiate(graph)
            finally:
                self.cuda.destroy_graph(graph)
        except DeviceLostError:
            raise
        except BackendError as error:
            self._captures = False
            self.say(f"{self.name}: frames are queued call by call, for no CUDA graph: {error}")
            return None

    def settle(self) -> None:
        """Wait for all that is queued.

        Raises:
            DeviceLostError: the device was lost meanwhile.
        """
        for stream in {self._uploads, self.stream}:
            self.cuda.synchronize(stream)

    def close(self) -> None:
        """Release the kernels and the stream."""
        self._release.close()

    def _queue(self, buffers: FrameBuffers, slot: Slot, *, captured: bool = False) -> None:
        def record(event: int) -> None:
            self.cuda.record(event, self.stream, captured=captured)

        addresses = buffers.locate(slot)
        record(slot.begun)
        self.compute(buffers.plan.before, addresses)
        record(slot.prepared)
        self._engine.enqueue()
        record(slot.inferred)
        self.compute(buffers.plan.after, addresses)
        record(slot.masked)
        slot.download(self.stream)
        record(slot.landed)

    def _record_graph(self, queue: Callable[[], None]) -> int:
        self.cuda.begin_capture(self.stream)
        try:
            queue()
        except BackendError:
            with suppress(BackendError):  # the first error says why
                self.cuda.destroy_graph(self.cuda.end_capture(self.stream))
            raise
        return self.cuda.end_capture(self.stream)
