"""The calls of CUDA's runtime: what their status becomes, and the flags that they get."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from edgeseg.errors import BackendError, DeviceLostError
from edgeseg.runtime.gpu import cuda as calls
from edgeseg.runtime.gpu.cuda import Cuda


class Library:
    """Gives every call a status, and remembers the arguments."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.called: list[tuple[str, tuple[Any, ...]]] = []
        self._functions: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.called.append((name, arguments))
            return b"unspecified launch failure" if name == "cudaGetErrorString" else self.status

        return self._functions.setdefault(name, call)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setattr(calls, "_load", lambda: made)
    return made


@pytest.mark.parametrize("status", [700, 719, 214])
def test_a_lost_device_is_told_from_a_failed_call(library: Library, status: int) -> None:
    cuda = Cuda()
    library.status = status
    with pytest.raises(DeviceLostError, match=rf"is lost to this process.*CUDA error {status}\)"):
        cuda.launch_graph(1, 2)
    library.status = 2
    with pytest.raises(BackendError, match=r"^cudaMalloc failed: .*CUDA error 2\); run: edgeseg"):
        cuda.malloc(8)
    with pytest.raises(BackendError) as told:
        cuda.wait_for(1)
    assert not isinstance(told.value, DeviceLostError)


def test_what_a_lost_device_held_is_released_without_an_error(library: Library) -> None:
    cuda = Cuda()
    library.status = 719
    for release in (cuda.free, cuda.free_pinned, cuda.destroy, cuda.destroy_event):
        release(1)
    library.status = 1
    with pytest.raises(BackendError, match="cudaFree failed"):
        cuda.free(1)


def test_events_in_a_capture_are_recorded_by_each_run_of_the_graph(library: Library) -> None:
    cuda = Cuda()
    cuda.record(5, 7)
    cuda.record(5, 7, captured=True)
    assert library.called == [
        ("cudaEventRecordWithFlags", (5, 7, 0)),
        ("cudaEventRecordWithFlags", (5, 7, 1)),  # cudaEventRecordExternal
    ]


def test_memory_that_cannot_be_mapped_is_given_back(library: Library) -> None:
    cuda = Cuda()

    def refuse(*_arguments: Any) -> int:
        return 801

    library._functions["cudaHostGetDevicePointer"] = refuse
    with pytest.raises(BackendError, match="cudaHostGetDevicePointer failed"):
        cuda.allocate_mapped(64)
    assert [name for name, _ in library.called if name != "cudaGetErrorString"] == [
        "cudaHostAlloc",
        "cudaFreeHost",
    ]


def test_every_call_has_as_many_arguments_as_its_signature(library: Library) -> None:
    """ctypes would refuse another number only on a device."""
    cuda = Cuda()
    cuda.begin_capture(1)
    graph = cuda.end_capture(1)
    ready = cuda.instantiate(graph)
    cuda.launch_graph(ready, 1)
    cuda.hold_until(1, cuda.event())
    cuda.measure(cuda.event(timed=True), 2)
    cuda.destroy_graph(graph)
    cuda.destroy_ready(ready)
    cuda.write(1, b"1234")
    cuda.shares_memory()
    cuda.allocate_mapped(8)
    for name, arguments in library.called:
        assert len(arguments) == len(calls._SIGNATURES[name]), name
        for kind, value in zip(calls._SIGNATURES[name], arguments, strict=True):
            kind.from_param(value) if kind is not ctypes.c_void_p or value else None
