"""Makes the few calls of the CUDA runtime that inference needs, by ctypes.

So nothing must be installed: a stock JetPack has `libcudart` (6: `.so.12`, 7: `.so.13`), but
neither cuda-python nor PyCUDA. Elsewhere pip brings it with the extra `rtx`. Signatures follow the
CUDA Runtime API reference; the status of every call is checked.
"""

from __future__ import annotations

import ctypes
import importlib.util
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import BackendError

__all__ = ["Cuda", "Pinned"]

_LIBRARIES: Final = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")
_FOLDERS: Final = ("", "/usr/local/cuda/lib64/", "/usr/local/cuda/targets/aarch64-linux/lib/")
# Where pip's packages for CUDA 13 and 12 lie, in the package `nvidia`.
_PIP_FOLDERS: Final = ("cu13/lib/", "cuda_runtime/lib/")

# cudaMemcpyKind and cudaDeviceAttr, in driver_types.h.
_HOST_TO_DEVICE: Final = 1
_DEVICE_TO_HOST: Final = 2
_CAPABILITY_MAJOR: Final = 75
_CAPABILITY_MINOR: Final = 76

_SIGNATURES: Final = {
    "cudaMalloc": [POINTER(c_void_p), c_size_t],
    "cudaFree": [c_void_p],
    "cudaMallocHost": [POINTER(c_void_p), c_size_t],
    "cudaFreeHost": [c_void_p],
    "cudaMemcpyAsync": [c_void_p, c_void_p, c_size_t, c_int, c_void_p],
    "cudaStreamCreate": [POINTER(c_void_p)],
    "cudaStreamSynchronize": [c_void_p],
    "cudaStreamDestroy": [c_void_p],
    "cudaMemGetInfo": [POINTER(c_size_t), POINTER(c_size_t)],
    "cudaDeviceGetAttribute": [POINTER(c_int), c_int, c_int],
    "cudaDriverGetVersion": [POINTER(c_int)],
}


class Pinned:
    """Page-locked host memory as an array. The device copies from and to it directly."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._cuda = cuda
        count = int(np.prod(shape))
        self.address = cuda.allocate_pinned(count * np.dtype(dtype).itemsize)
        buffer = (ctypes.c_byte * (count * np.dtype(dtype).itemsize)).from_address(self.address)
        self.array: npt.NDArray[Any] = np.frombuffer(memoryview(buffer), dtype).reshape(shape)

    def free(self) -> None:
        """Release the memory; the array must not be used after that."""
        self._cuda.free_pinned(self.address)


class Cuda:
    """The runtime library, on the first device.

    Raises:
        BackendError: there is no library or no device, or a call fails; the message says which.
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
        self._call("cudaFree", address)

    def allocate_pinned(self, size: int) -> int:
        """Allocate `size` bytes of page-locked host memory; return the address."""
        pointer = c_void_p()
        self._call("cudaMallocHost", byref(pointer), size)
        return pointer.value or 0

    def free_pinned(self, address: int) -> None:
        """Release page-locked memory."""
        self._call("cudaFreeHost", address)

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
        self._call("cudaStreamDestroy", stream)

    def to_device(self, device: int, host: int, size: int, stream: int) -> None:
        """Queue a copy of `size` bytes from host to device in the stream."""
        self._call("cudaMemcpyAsync", device, host, size, _HOST_TO_DEVICE, stream)

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
        parts = []
        for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
            value = c_int()
            self._call("cudaDeviceGetAttribute", byref(value), attribute, 0)
            parts.append(str(value.value))
        return ".".join(parts)

    def driver(self) -> int:
        """Ask for the newest CUDA version that the driver supports, for example 12060."""
        version = c_int()
        self._call("cudaDriverGetVersion", byref(version))
        return version.value

    def _call(self, name: str, *arguments: Any) -> None:  # noqa: ANN401  # as ctypes takes them
        status = getattr(self._library, name)(*arguments)
        if status:
            reason = self._library.cudaGetErrorString(status).decode()
            raise BackendError(
                f"{name} failed: {reason} (CUDA error {status}); run: edgeseg doctor"
            )


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
