"""A fake CUDA runtime: the device's memory is the host's, and streams are lists of calls.

What is queued runs as late as the runtime allows: when somebody waits. So a test sees a result that
is read too early, and memory that is written or freed while the device still needs it. Graphs are
lists of calls that were queued during a capture. All `FakeCuda` share one device.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from edgeseg.runtime.gpu.cuda import explain_status

_TICK_MS = 0.25  # what each call takes, by the events


@dataclass(frozen=True)
class Queued:
    """A call in a stream, the event that it records, and the memory that it needs."""

    call: Callable[[], None]
    event: int | None = None
    needs: frozenset[int] = frozenset()


@dataclass
class Device:
    """The device's state, and a test's knobs."""

    shared: bool = False  # whether host and device share memory
    refuses_capture: bool = False
    lost: bool = False
    calls_left: int | None = None  # before the device is lost; None for ever
    memory: int = 8 << 30  # bytes that can be allocated in all
    blocks: dict[int, Any] = field(default_factory=dict)
    streams: dict[int, deque[Queued]] = field(default_factory=dict)
    events: dict[int, float | None] = field(default_factory=dict)  # None while it is awaited
    graphs: dict[int, list[Queued]] = field(default_factory=dict)
    capturing: dict[int, list[Queued]] = field(default_factory=dict)
    clock_ms: float = 0.0
    launched_graphs: int = 0
    allocations: int = 0
    lock: Any = field(default_factory=threading.RLock)


class FakeCuda:
    """Stands in for `edgeseg.runtime.gpu.cuda.Cuda`; `held` counts what was not given back."""

    held = 0
    compute = "8.7"
    device = Device()
    _handles = itertools.count(1001)

    def malloc(self, size: int) -> int:
        self._check("cudaMalloc")
        if sum(map(ctypes.sizeof, self.device.blocks.values())) + size > self.device.memory:
            raise explain_status("cudaMalloc", 2, "out of memory")
        block = ctypes.create_string_buffer(bytes([0xA5]) * size, size)  # no zeros by chance
        address = ctypes.addressof(block)
        self.device.blocks[address] = block
        self.device.allocations += 1
        FakeCuda.held += 1
        return address

    allocate_pinned = malloc

    def allocate_mapped(self, size: int) -> tuple[int, int]:
        assert self.device.shared, "where nothing is shared, mapped memory is slow"
        address = self.malloc(size)
        return address, address

    def free(self, address: int) -> None:
        with self.device.lock:
            waiting = [one for calls in self.device.streams.values() for one in calls]
            used = any(address in one.needs for one in waiting)
            assert self.device.lost or not used, "memory is freed that the device still needs"
            del self.device.blocks[address]
            FakeCuda.held -= 1

    free_pinned = free

    def free_memory(self) -> int:
        return 8 << 30

    def capability(self) -> str:
        return FakeCuda.compute

    def driver(self) -> int:
        return 12060

    def shares_memory(self) -> bool:
        return self.device.shared

    def stream(self) -> int:
        return self._make(self.device.streams, deque())

    def destroy(self, stream: int) -> None:
        del self.device.streams[stream]
        FakeCuda.held -= 1

    def synchronize(self, stream: int) -> None:
        with self.device.lock:
            self._check("cudaStreamSynchronize")
            while self.device.streams[stream] and not self.device.lost:
                self._run_next(stream)
            self._check("cudaStreamSynchronize")

    def queue(self, stream: int, queued: Queued) -> None:
        """Queue what a kernel, a copy, an event or an engine does."""
        with self.device.lock:
            self._check("a launch")
            captured = self.device.capturing.get(stream)
            if captured is not None:
                captured.append(queued)
                return
            if queued.event is not None:
                self.device.events[queued.event] = None
            self.device.streams[stream].append(queued)

    def write(self, device: int, content: bytes) -> None:
        self._check("cudaMemcpy")
        ctypes.memmove(device, content, len(content))

    def to_device(self, device: int, host: int, size: int, stream: int) -> None:
        self._copy(device, host, size, stream)

    def to_host(self, host: int, device: int, size: int, stream: int) -> None:
        self._copy(host, device, size, stream)

    def _copy(self, target: int, source: int, size: int, stream: int) -> None:
        def copy() -> None:
            ctypes.memmove(target, source, size)

        self.queue(stream, Queued(copy, needs=frozenset({target, source})))

    def event(self, *, timed: bool = False) -> int:
        return self._make(self.device.events, 0.0)

    def destroy_event(self, event: int) -> None:
        del self.device.events[event]
        FakeCuda.held -= 1

    def record(self, event: int, stream: int, *, captured: bool = False) -> None:
        assert captured == (stream in self.device.capturing), "the flag is for captures alone"

        def reach() -> None:
            self.device.events[event] = self.device.clock_ms

        self.queue(stream, Queued(reach, event=event))

    def wait_for(self, event: int) -> None:
        with self.device.lock:
            self._check("cudaEventSynchronize")
            self._run_until(event)
            self._check("cudaEventSynchronize")

    def hold_until(self, stream: int, event: int) -> None:
        self.queue(stream, Queued(lambda: self._run_until(event)))

    def measure(self, begun: int, ended: int) -> float:
        first, last = self.device.events[begun], self.device.events[ended]
        assert first is not None, "an event is measured before it is reached"
        assert last is not None, "an event is measured before it is reached"
        return last - first

    def begin_capture(self, stream: int) -> None:
        self._check("cudaStreamBeginCapture")
        assert stream not in self.device.capturing
        self.device.capturing[stream] = []

    def end_capture(self, stream: int) -> int:
        calls = self.device.capturing.pop(stream)
        self._check("cudaStreamEndCapture")
        if self.device.refuses_capture:
            raise explain_status(
                "cudaStreamEndCapture", 901, "a call is not permitted in a capture"
            )
        return self._make(self.device.graphs, calls)

    def instantiate(self, graph: int) -> int:
        return self._make(self.device.graphs, list(self.device.graphs[graph]))

    def launch_graph(self, ready: int, stream: int) -> None:
        self.device.launched_graphs += 1
        for one in self.device.graphs[ready]:
            self.queue(stream, one)

    def destroy_graph(self, graph: int) -> None:
        del self.device.graphs[graph]
        FakeCuda.held -= 1

    destroy_ready = destroy_graph

    def _make(self, kind: dict[int, Any], value: object) -> int:
        self._check("a call")
        handle = next(FakeCuda._handles)
        kind[handle] = value
        FakeCuda.held += 1
        return handle

    def _check(self, name: str) -> None:
        if self.device.lost:
            raise explain_status(name, 719, "unspecified launch failure")

    def _run_next(self, stream: int) -> None:
        device = self.device
        if device.calls_left is not None:
            device.calls_left -= 1
            device.lost = device.calls_left < 0
        if not device.lost:
            device.clock_ms += _TICK_MS
            # The call goes only after it has run: until then its memory is needed.
            device.streams[stream][0].call()
            device.streams[stream].popleft()

    def _run_until(self, event: int) -> None:
        """Run the stream that records an event, until it has."""
        while self.device.events[event] is None and not self.device.lost:
            self._run_next(self._find_stream(event))

    def _find_stream(self, event: int) -> int:
        streams: Iterable[tuple[int, deque[Queued]]] = self.device.streams.items()
        return next(s for s, calls in streams if any(one.event == event for one in calls))


def reset() -> Device:
    """Start with a device on which nothing is held."""
    FakeCuda.device, FakeCuda.held, FakeCuda.compute = Device(), 0, "8.7"
    return FakeCuda.device
