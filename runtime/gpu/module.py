"""Loads compiled kernels and launches them, by CUDA's driver API through ctypes.

The driver library comes with every driver. Signatures follow the CUDA Driver API reference; the
status of every call is checked. The driver shares its context, the primary one, with the runtime
API, so streams and memory of `Cuda` serve here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_void_p
from typing import Any, Final

from edgeseg.errors import BackendError
from edgeseg.runtime.gpu.cuda import explain_status
from edgeseg.runtime.gpu.launches import Launch

__all__ = ["Module"]

_LIBRARIES: Final = ("libcuda.so.1", "libcuda.so")

# Threads of a block, across and down: rows of a warp's width, so that neighbors read neighbors.
_BLOCK: Final = (32, 8)

_SIGNATURES: Final = {
    "cuInit": [c_uint],
    "cuGetErrorString": [c_int, POINTER(c_char_p)],
    "cuDeviceGet": [POINTER(c_int), c_int],
    "cuDevicePrimaryCtxRetain": [POINTER(c_void_p), c_int],
    "cuDevicePrimaryCtxRelease_v2": [c_int],
    "cuCtxSetCurrent": [c_void_p],
    "cuModuleLoadData": [POINTER(c_void_p), c_char_p],
    "cuModuleUnload": [c_void_p],
    "cuModuleGetFunction": [POINTER(c_void_p), c_void_p, c_char_p],
    "cuLaunchKernel": [
        c_void_p,
        *[c_uint] * 7,  # grid, block, shared memory
        c_void_p,
        POINTER(c_void_p),
        POINTER(c_void_p),
    ],
}


class Module:
    """Compiled kernels on the first device. Not thread-safe.

    A thread that launches has made a call of the runtime API before, as every upload is: that call
    makes the context the thread's own.

    Raises:
        BackendError: there is no driver or no device, or the driver refuses the code.
    """

    def __init__(self, code: bytes) -> None:
        self._library = _load()
        for name, arguments in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = arguments, c_int
        self._functions: dict[str, c_void_p] = {}
        self._call("cuInit", 0)
        self._device, context, module = c_int(), c_void_p(), c_void_p()
        self._call("cuDeviceGet", byref(self._device), 0)
        self._call("cuDevicePrimaryCtxRetain", byref(context), self._device)
        try:
            self._call("cuCtxSetCurrent", context)
            self._call("cuModuleLoadData", byref(module), code)
        except BackendError:
            self._library.cuDevicePrimaryCtxRelease_v2(self._device)
            raise
        self._module: c_void_p | None = module

    def launch(self, launch: Launch, addresses: Mapping[str, int], stream: int) -> None:
        """Queue a kernel in a stream. `addresses` are device addresses of buffers and tables.

        Raises:
            BackendError: the driver refuses the launch, or reports an earlier failure.
        """
        values = [
            c_int(each) if isinstance(each, int) else c_void_p(addresses[each])
            for each in launch.arguments
        ]
        pointers = (c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
        blocks = [-(-need // size) for need, size in zip(launch.threads, _BLOCK, strict=True)]
        function = self._find(launch.kernel)
        self._call(
            "cuLaunchKernel", function, *blocks, 1, *_BLOCK, 1, 0, stream, pointers, None,
            where=f" for {launch.kernel}",
        )  # fmt: skip

    def close(self) -> None:
        """Unload the kernels. Calling twice is harmless.

        Raises:
            BackendError: the driver reports a failure; what it holds is given up all the same.
        """
        if self._module is None:
            return
        module, self._module = self._module, None
        try:
            self._call("cuModuleUnload", module)
        finally:
            self._call("cuDevicePrimaryCtxRelease_v2", self._device)

    def _find(self, kernel: str) -> c_void_p:
        if kernel not in self._functions:
            function = c_void_p()
            self._call(
                "cuModuleGetFunction", byref(function), self._module, kernel.encode(),
                where=f" for {kernel}",
            )  # fmt: skip
            self._functions[kernel] = function
        return self._functions[kernel]

    def _call(self, name: str, *arguments: Any, where: str = "") -> None:  # noqa: ANN401  # as ctypes takes them
        status = getattr(self._library, name)(*arguments)
        if not status:
            return
        text = c_char_p()
        self._library.cuGetErrorString(status, byref(text))
        reason = (text.value or b"unknown error").decode()
        raise explain_status(name, status, reason, where=where)


def _load() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:  # noqa: PERF203  # the next name is tried
            continue
    raise BackendError(
        "no CUDA driver was found (libcuda); on a Jetson install JetPack: "
        "sudo apt install nvidia-jetpack; then run: edgeseg doctor"
    )
