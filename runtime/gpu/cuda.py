"""Makes the few calls of the CUDA runtime that frames on a GPU need, by ctypes.

So nothing must be installed: a stock JetPack has `libcudart` (6: `.so.12`, 7: `.so.13`), but
neither cuda-python nor PyCUDA. Elsewhere pip brings it with the extra `rtx`. Signatures follow the
CUDA Runtime API reference; the status of every call is checked. Streams, events and graphs are
handles, and memory is an address: all are integers.
"""

from __future__ import annotations

import ctypes
import importlib.util
from contextlib import suppress
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import BackendError, DeviceLostError

__all__ = ["Cuda", "Pinned", "explain_status", "view_host"]

_LIBRARIES: Final = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")
_FOLDERS: Final = ("", "/usr/local/cuda/lib64/", "/usr/local/cuda/targets/aarch64-linux/lib/")
# Where pip's packages for CUDA 13 and 12 lie, in the package `nvidia`.
_PIP_FOLDERS: Final = ("cu13/lib/", "cuda_runtime/lib/")

# Of driver_types.h: cudaMemcpyKind, cudaDeviceAttr and cudaStreamCaptureMode; flags of
# cudaHostAlloc, cudaEventCreateWithFlags and cudaEventRecordWithFlags.
_HOST_TO_DEVICE: Final = 1
_DEVICE_TO_HOST: Final = 2
_INTEGRATED: Final = 18
_MAPS_HOST_MEMORY: Final = 19
_CAPABILITY_MAJOR: Final = 75
_CAPABILITY_MINOR: Final = 76
_THREAD_LOCAL: Final = 1  # other threads copy and wait while one captures
_MAPPED: Final = 2
_BLOCKING, _UNTIMED = 1, 2
_EXTERNAL: Final = 1  # an event that is recorded each time the graph runs; for captures alone

# cudaError_t after which every call of this process fails: memory or links beyond repair, a context
# that is gone, and what a kernel did wrong.
_LOST: Final = frozenset({214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719})

_SIGNATURES: Final = {
    "cudaMalloc": [POINTER(c_void_p), c_size_t],
    "cudaFree": [c_void_p],
    "cudaMallocHost": [POINTER(c_void_p), c_size_t],
    "cudaFreeHost": [c_void_p],
    "cudaMemcpy": [c_void_p, c_void_p, c_size_t, c_int],
    "cudaMemcpyAsync": [c_void_p, c_void_p, c_size_t, c_int, c_void_p],
    "cudaStreamCreate": [POINTER(c_void_p)],
    "cudaStreamSynchronize": [c_void_p],
    "cudaStreamDestroy": [c_void_p],
    "cudaStreamWaitEvent": [c_void_p, c_void_p, c_uint],
    "cudaStreamBeginCapture": [c_void_p, c_int],
    "cudaStreamEndCapture": [c_void_p, POINTER(c_void_p)],
    "cudaGraphInstantiateWithFlags": [POINTER(c_void_p), c_void_p, c_ulonglong],
    "cudaGraphLaunch": [c_void_p, c_void_p],
    "cudaGraphDestroy": [c_void_p],
    "cudaGraphExecDestroy": [c_void_p],
    "cudaEventCreateWithFlags": [POINTER(c_void_p), c_uint],
    "cudaEventRecordWithFlags": [c_void_p, c_void_p, c_uint],
    "cudaEventSynchronize": [c_void_p],
    "cudaEventElapsedTime": [POINTER(c_float), c_void_p, c_void_p],
    "cudaEventDestroy": [c_void_p],
    "cudaHostAlloc": [POINTER(c_void_p), c_size_t, c_uint],
    "cudaHostGetDevicePointer": [POINTER(c_void_p), c_void_p, c_uint],
    "cudaMemGetInfo": [POINTER(c_size_t), POINTER(c_size_t)],
    "cudaDeviceGetAttribute": [POINTER(c_int), c_int, c_int],
    "cudaDriverGetVersion": [POINTER(c_int)],
}


class Pinned:
    """Page-locked host memory as an array. The device copies from and to it directly."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._cuda = cuda
        self.address = cuda.allocate_pinned(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        self.array = view_host(self.address, shape, dtype)

    def free(self) -> None:
        """Release the memory; the array must not be used after that."""
        self._cuda.free_pinned(self.address)


def view_host(address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """View host memory as an array, which must not be used after the memory is freed."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = (ctypes.c_byte * size).from_address(address)
    return np.frombuffer(memoryview(buffer), dtype).reshape(shape)


class Cuda:
    """The runtime library, on the first device. Threads may share it.

    Raises:
        BackendError: there is no library or no device, or a call fails; the message says which.
        DeviceLostError: a call found the device in a state in which all further calls fail.
    """

    def __init__(self) -> None:
        self._library = _load()
        for name, arguments in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = arguments, c_int
        self._library.cudaGetErrorString.restype = c_char_p

    def malloc(self, size: int) -> int:
        """Allocate `size` bytes of device memory; return the address."""
        pointer = c_void_p()
        self._call("cudaMalloc", byref(pointer), size)
        return pointer.value or 0

    def free(self, address: int) -> None:
        """Release device memory."""
        self._release("cudaFree", address)

    def allocate_pinned(self, size: int) -> int:
        """Allocate `size` bytes of page-locked host memory; return the address."""
        pointer = c_void_p()
        self._call("cudaMallocHost", byref(pointer), size)
        return pointer.value or 0

    def free_pinned(self, address: int) -> None:
        """Release page-locked memory, mapped or not."""
        self._release("cudaFreeHost", address)

    def allocate_mapped(self, size: int) -> tuple[int, int]:
        """Allocate page-locked memory that the device reads and writes in place.

        Returns its address for the host, and its address for the device.
        """
        host, device = c_void_p(), c_void_p()
        self._call("cudaHostAlloc", byref(host), size, _MAPPED)
        try:
            self._call("cudaHostGetDevicePointer", byref(device), host, 0)
        except BackendError:
            self.free_pinned(host.value or 0)
            raise
        return host.value or 0, device.value or 0

    def stream(self) -> int:
        """Create a stream; return its handle."""
        pointer = c_void_p()
        self._call("cudaStreamCreate", byref(pointer))
        return pointer.value or 0

    def synchronize(self, stream: int) -> None:
        """Wait for all work in a stream; raise the errors of that work."""
        self._call("cudaStreamSynchronize", stream)

    def destroy(self, stream: int) -> None:
        """Release a stream."""
        self._release("cudaStreamDestroy", stream)

    def event(self, *, timed: bool = False) -> int:
        """Create an event; return its handle. Events that are not `timed` are to wait for.

        Whoever waits for an event sleeps meanwhile: a waiting thread that spins would take a core
        of a small board.
        """
        handle = c_void_p()
        flags = 0 if timed else _BLOCKING | _UNTIMED
        self._call("cudaEventCreateWithFlags", byref(handle), flags)
        return handle.value or 0

    def record(self, event: int, stream: int, *, captured: bool = False) -> None:
        """Queue an event. Where the stream is being captured, each run of the graph records it."""
        self._call("cudaEventRecordWithFlags", event, stream, _EXTERNAL if captured else 0)

    def wait_for(self, event: int) -> None:
        """Wait until the device reaches an event; raise the errors of the work before it."""
        self._call("cudaEventSynchronize", event)

    def hold_until(self, stream: int, event: int) -> None:
        """Let a stream go on when another one has reached an event."""
        self._call("cudaStreamWaitEvent", stream, event, 0)

    def measure(self, begun: int, ended: int) -> float:
        """Measure the milliseconds between two timed events that the device has reached."""
        span = c_float()
        self._call("cudaEventElapsedTime", byref(span), begun, ended)
        return span.value

    def destroy_event(self, event: int) -> None:
        """Release an event."""
        self._release("cudaEventDestroy", event)

    def begin_capture(self, stream: int) -> None:
        """Collect what this thread queues in a stream from now on, without running it."""
        self._call("cudaStreamBeginCapture", stream, _THREAD_LOCAL)

    def end_capture(self, stream: int) -> int:
        """End a capture; return the graph of what was queued."""
        graph = c_void_p()
        self._call("cudaStreamEndCapture", stream, byref(graph))
        return graph.value or 0

    def instantiate(self, graph: int) -> int:
        """Make a graph ready to run; return a handle of its own."""
        ready = c_void_p()
        self._call("cudaGraphInstantiateWithFlags", byref(ready), graph, 0)
        return ready.value or 0

    def launch_graph(self, ready: int, stream: int) -> None:
        """Queue the whole of a graph in a stream."""
        self._call("cudaGraphLaunch", ready, stream)

    def destroy_graph(self, graph: int) -> None:
        """Release a graph; what `instantiate` made of it stays."""
        self._release("cudaGraphDestroy", graph)

    def destroy_ready(self, ready: int) -> None:
        """Release what `instantiate` made."""
        self._release("cudaGraphExecDestroy", ready)

    def to_device(self, device: int, host: int, size: int, stream: int) -> None:
        """Queue a copy of `size` bytes from host to device in the stream."""
        self._call("cudaMemcpyAsync", device, host, size, _HOST_TO_DEVICE, stream)

    def write(self, device: int, content: bytes) -> None:
        """Copy bytes to the device, and wait for it."""
        self._call("cudaMemcpy", device, content, len(content), _HOST_TO_DEVICE)

    def to_host(self, host: int, device: int, size: int, stream: int) -> None:
        """Queue a copy of `size` bytes from device to host in the stream."""
        self._call("cudaMemcpyAsync", host, device, size, _DEVICE_TO_HOST, stream)

    def free_memory(self) -> int:
        """Ask how many bytes are free on the device; on a Jetson, in the system's memory."""
        free, total = c_size_t(), c_size_t()
        self._call("cudaMemGetInfo", byref(free), byref(total))
        return free.value

    def capability(self) -> str:
        """Ask for the device's compute capability, for example `8.7` on Orin."""
        return f"{self._ask(_CAPABILITY_MAJOR)}.{self._ask(_CAPABILITY_MINOR)}"

    def shares_memory(self) -> bool:
        """Ask whether device and host have the same memory, as on a Jetson, and may both use it."""
        return bool(self._ask(_INTEGRATED) and self._ask(_MAPS_HOST_MEMORY))

    def driver(self) -> int:
        """Ask for the newest CUDA version that the driver supports, for example 12060."""
        version = c_int()
        self._call("cudaDriverGetVersion", byref(version))
        return version.value

    def _ask(self, attribute: int) -> int:
        value = c_int()
        self._call("cudaDeviceGetAttribute", byref(value), attribute, 0)
        return value.value

    def _call(self, name: str, *arguments: Any) -> None:  # noqa: ANN401  # as ctypes takes them
        status = getattr(self._library, name)(*arguments)
        if status:
            reason = self._library.cudaGetErrorString(status).decode()
            raise explain_status(name, status, reason)

    def _release(self, name: str, handle: int) -> None:
        """Release something. A lost device has released all by itself, and refuses the call."""
        with suppress(DeviceLostError):
            self._call(name, handle)


def explain_status(call: str, status: int, reason: str, *, where: str = "") -> BackendError:
    """Explain why a call failed, by its cudaError_t, or by the CUresult of the same number."""
    text = f"{call} failed{where}: {reason} (CUDA error {status})"
    if status in _LOST:
        return DeviceLostError(
            f"the GPU is lost to this process, {text}; start edgeseg again, and if it stays so, "
            f"run: edgeseg doctor"
        )
    return BackendError(f"{text}; run: edgeseg doctor")


def _load() -> ctypes.CDLL:
    for folder in (*_FOLDERS, *_list_pip_folders()):
        for name in _LIBRARIES:
            try:
                return ctypes.CDLL(f"{folder}{name}")
            except OSError:  # noqa: PERF203  # the next place is tried
                continue
    raise BackendError(
        "no CUDA runtime library was found (libcudart); on a Jetson install JetPack: "
        "sudo apt install nvidia-jetpack; elsewhere: pip install 'edgeseg[rtx]' -c "
        "constraints.txt; then run: edgeseg doctor"
    )


def _list_pip_folders() -> list[str]:
    package = importlib.util.find_spec("nvidia")
    places = (package and package.submodule_search_locations) or ()
    return [f"{place}/{folder}" for place in places for folder in _PIP_FOLDERS]
