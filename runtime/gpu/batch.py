"""A frame of each of several lanes at once, through an engine for so many frames.

    upload stream    frames 1 to n ▶
    stream                          inputs 1 to n ▶ engine ▶ masks 1 to n, each with its download

The engine works in the stream of the path, so frames one by one and several at once never use the
same memory at the same time. Which lanes meet changes from time to time. So only the engine's part
is a CUDA graph, and the kernels around it are queued call by call.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg.errors import BackendError
from edgeseg.runtime.gpu.buffers import FrameBuffers
from edgeseg.runtime.gpu.path import DeviceEngine, FramePath
from edgeseg.runtime.gpu.slots import Slot

__all__ = ["FrameBatch"]


class FrameBatch:
    """Several frames at once on a path. The thread that launches the path's frames calls it.

    `frames` is their number. The engine takes uint8 (frames, H, W, 3), gives as many of what the
    path's engine gives, and works in the path's stream. Close the batch before both.

    Raises:
        BackendError: the engine takes or gives something else.
    """

    def __init__(self, path: FramePath, engine: DeviceEngine, frames: int) -> None:
        for name, size in path.sizes.items():
            if engine.sizes[name] != frames * size:
                raise BackendError(
                    f"its {name} has {engine.sizes[name]} bytes, and {frames} frames need "
                    f"{frames * size}; export the bundle again"
                )
        self._path, self._engine = path, engine
        self.frames = frames
        self._warm = False
        self._graph: int | None = None

    def launch(self, group: Sequence[tuple[FrameBuffers, Slot]]) -> None:
        """Queue all that is done for the frames in the slots of as many lanes, in this order.

        Raises:
            BackendError: a call fails.
        """
        assert len(group) == self.frames, "the engine takes so many frames"
        try:
            self._queue(group)
        except BackendError:
            self._path.settle()
            raise

    def close(self) -> None:
        """Release the graph."""
        if self._graph is not None:
            self._path.cuda.destroy_ready(self._graph)
            self._graph = None

    def _queue(self, group: Sequence[tuple[FrameBuffers, Slot]]) -> None:
        path, slots = self._path, [slot for _, slot in group]
        places = [self._locate(place, *one) for place, one in enumerate(group)]
        for slot in slots:
            slot.together = self.frames
            path.upload(slot)
        self._record([slot.begun for slot in slots])
        for (buffers, _), addresses in zip(group, places, strict=True):
            path.compute(buffers.plan.before, addresses)
        self._record([slot.prepared for slot in slots])
        self._infer()
        self._record([slot.inferred for slot in slots])
        for (buffers, _), addresses in zip(group, places, strict=True):
            path.compute(buffers.plan.after, addresses)
        self._record([slot.masked for slot in slots])
        for slot in slots:
            slot.download(path.stream)
        self._record([slot.landed for slot in slots])
        self._record([slot.done for slot in slots])

    def _locate(self, place: int, buffers: FrameBuffers, slot: Slot) -> dict[str, int]:
        """Give the addresses of a frame's buffers, with its place in the engine's."""
        ends = {
            name: start + place * self._path.sizes[name]
            for name, start in self._engine.ends.items()
        }
        return buffers.locate(slot) | ends

    def _infer(self) -> None:
        """Queue the engine, call by call for the first time."""
        if self._warm and self._graph is None:
            self._graph = self._path.capture(self._engine.enqueue)
        if self._graph is None:
            self._engine.enqueue()
        else:
            self._path.cuda.launch_graph(self._graph, self._path.stream)
        self._warm = True

    def _record(self, events: Sequence[int]) -> None:
        for event in events:
            self._path.cuda.record(event, self._path.stream)
