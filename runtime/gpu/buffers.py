"""All that the frames of one size of a source need on a device, made once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

from edgeseg.runtime.gpu.cuda import Cuda
from edgeseg.runtime.gpu.plan import FramePlan
from edgeseg.runtime.gpu.slots import Slot

__all__ = ["DEPTH", "FrameBuffers"]

# Frames under way at once: while the device works on one, the host works on its neighbors.
DEPTH: Final = 2


class FrameBuffers:
    """A plan's tables and scratch memory, which the frames share, and a slot for each frame.

    `ends` are the addresses of the engine's "input" and "output". `warm` says that a frame has been
    queued: what an engine prepares for its first frame has no place in a graph.

    Raises:
        BackendError: the device has too little memory.
    """

    def __init__(
        self,
        cuda: Cuda,
        plan: FramePlan,
        size: tuple[int, int],
        *,
        ends: Mapping[str, int],
        shared: bool,
    ) -> None:
        self.plan, self.size = plan, size
        self.warm = False
        self._cuda = cuda
        with ExitStack() as stack:
            self.slots = [Slot(cuda, plan, size, shared=shared, stack=stack) for _ in range(DEPTH)]
            tables = {
                name: self._upload(table.tobytes(), stack) for name, table in plan.tables.items()
            }
            placed = {*ends, *self.slots[0].addresses}
            scratch = {
                name: self._allocate(plan.buffers[name], stack)
                for name in plan.buffers
                if name not in placed
            }
            self._common = {**ends, **tables, **scratch}
            self._release = stack.pop_all()

    @property
    def slot(self) -> Slot:
        """The slot of the next frame."""
        return self.slots[0]

    def turn(self) -> None:
        """Let the next slot have its turn; the frame of this one is under way."""
        self.slots.append(self.slots.pop(0))

    def locate(self, slot: Slot) -> dict[str, int]:
        """Give the addresses of all buffers and tables for the frame in a slot."""
        return {**self._common, **slot.addresses}

    def keep_graph(self, ready: int) -> None:
        """Release a graph, as `Cuda.instantiate` made it, with the buffers."""
        self._release.callback(self._cuda.destroy_ready, ready)

    def close(self) -> None:
        """Release everything; the device must not need it any more."""
        self._release.close()

    def _allocate(self, size: int, stack: ExitStack) -> int:
        address = self._cuda.malloc(size)
        stack.callback(self._cuda.free, address)
        return address

    def _upload(self, content: bytes, stack: ExitStack) -> int:
        """Copy a table to the device, and wait for it."""
        address = self._allocate(len(content), stack)
        self._cuda.write(address, content)
        return address
