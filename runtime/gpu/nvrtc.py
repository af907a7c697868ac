"""Compiles CUDA C on the device by NVRTC, through ctypes.

NVRTC is a part of JetPack's CUDA, and a package of pip. It needs no compiler and no headers.
Signatures follow the NVRTC API reference; the status of every call is checked.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator, Mapping
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any, Final

from edgeseg.errors import BackendError
from edgeseg.text import to_plain

__all__ = ["OPTIONS", "Nvrtc", "find_nvrtc"]

# No fused multiplications and additions: NumPy rounds each.
OPTIONS: Final = ("--fmad=false", "--std=c++17")

_LIBRARIES: Final = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so")
_FOLDERS: Final = ("", "/usr/local/cuda/lib64/", "/usr/local/cuda/targets/aarch64-linux/lib/")
# Where pip's packages for CUDA 13 and 12 lie, in the package `nvidia`.
_PIP_FOLDERS: Final = ("cu13/lib", "cuda_nvrtc/lib")

_Text = POINTER(c_char_p)
_SIGNATURES: Final = {
    "nvrtcVersion": [POINTER(c_int), POINTER(c_int)],
    "nvrtcGetNumSupportedArchs": [POINTER(c_int)],
    "nvrtcGetSupportedArchs": [POINTER(c_int)],
    "nvrtcCreateProgram": [POINTER(c_void_p), c_char_p, c_char_p, c_int, _Text, _Text],
    "nvrtcDestroyProgram": [POINTER(c_void_p)],
    "nvrtcCompileProgram": [c_void_p, c_int, _Text],
    "nvrtcGetProgramLogSize": [c_void_p, POINTER(c_size_t)],
    "nvrtcGetProgramLog": [c_void_p, c_char_p],
    "nvrtcGetCUBINSize": [c_void_p, POINTER(c_size_t)],
    "nvrtcGetCUBIN": [c_void_p, c_char_p],
    "nvrtcGetPTXSize": [c_void_p, POINTER(c_size_t)],
    "nvrtcGetPTX": [c_void_p, c_char_p],
}


class Nvrtc:
    """One NVRTC library.

    `version` is that of its CUDA, (major, minor); `capabilities` are the compute capabilities that
    it compiles for, for example "8.7".

    Raises:
        BackendError: a call fails; the message says which.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        for name, arguments in _SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, c_int
        library.nvrtcGetErrorString.argtypes = [c_int]
        library.nvrtcGetErrorString.restype = c_char_p
        major, minor, count = c_int(), c_int(), c_int()
        self._call("nvrtcVersion", byref(major), byref(minor))
        self.version = (major.value, minor.value)
        self._call("nvrtcGetNumSupportedArchs", byref(count))
        numbers = (c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", numbers)
        self.capabilities = tuple(f"{number // 10}.{number % 10}" for number in numbers)

    def compile_cubin(self, sources: Mapping[str, str], capability: str) -> bytes:
        """Compile the first source, which may include the others, for one device.

        Raises:
            BackendError: the source is refused; the message has the log's last line.
        """
        return self._compile(sources, f"sm_{_join(capability)}", "CUBIN")

    def compile_ptx(self, sources: Mapping[str, str], capability: str) -> str:
        """Compile the first source to PTX, the text that a driver compiles further.

        Raises:
            BackendError: the source is refused; the message has the log's last line.
        """
        return self._compile(sources, f"compute_{_join(capability)}", "PTX").rstrip(b"\0").decode()

    def _compile(self, sources: Mapping[str, str], architecture: str, form: str) -> bytes:
        (name, *names), (text, *texts) = zip(
            *((key.encode(), value.encode()) for key, value in sources.items()), strict=True
        )
        options = [f"--gpu-architecture={architecture}".encode(), *map(str.encode, OPTIONS)]
        program = c_void_p()
        self._call(
            "nvrtcCreateProgram",
            *(byref(program), text, name, len(names), _pack(texts), _pack(names)),
        )
        try:
            status = self._library.nvrtcCompileProgram(program, len(options), _pack(options))
            if status:
                log = self._read("ProgramLog", program).rstrip(b"\0").decode(errors="replace")
                raise BackendError(
                    f"NVRTC {self.name} does not compile {name.decode()} for {architecture}: "
                    f"{_take_last(log) or self._explain(status)}"
                )
            return self._read(form, program)
        finally:
            self._library.nvrtcDestroyProgram(byref(program))

    @property
    def name(self) -> str:
        """The version as text, for example "12.6"."""
        return ".".join(map(str, self.version))

    def _read(self, what: str, program: c_void_p) -> bytes:
        size = c_size_t()
        self._call(f"nvrtcGet{what}Size", program, byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, buffer)
        return buffer.raw

    def _call(self, name: str, *arguments: Any) -> None:  # noqa: ANN401  # as ctypes takes them
        status = getattr(self._library, name)(*arguments)
        if status:
            raise BackendError(f"{name} failed: {self._explain(status)} (NVRTC error {status})")

    def _explain(self, status: int) -> str:
        reason: bytes = self._library.nvrtcGetErrorString(status)
        return reason.decode()


def find_nvrtc(capability: str, driver: int) -> Nvrtc:
    """Find a library that compiles for a device, whose driver is for a version as 12060.

    JetPack's comes before pip's. A driver loads code of its own major version of CUDA, or an
    earlier one.

    `capability` is the device's compute capability, for example "8.7".

    Raises:
        BackendError: there is none; the message says how to install one.
    """
    for library in _load_all():
        nvrtc = Nvrtc(library)
        if capability in nvrtc.capabilities and nvrtc.version[0] <= driver // 1000:
            return nvrtc
    package = "nvidia-cuda-nvrtc" if driver >= 13000 else "nvidia-cuda-nvrtc-cu12"
    raise BackendError(
        f"no NVRTC (libnvrtc) compiles for compute capability {capability} and CUDA "
        f"{driver // 1000}; on a Jetson install JetPack: sudo apt install nvidia-jetpack; "
        f"elsewhere: pip install {package}"
    )


def _load_all() -> Iterator[ctypes.CDLL]:
    folders = [*_FOLDERS, *(f"{folder}/" for folder in _list_pip_folders())]
    for folder in folders:
        for name in _LIBRARIES:
            try:
                yield ctypes.CDLL(f"{folder}{name}")
            except OSError:  # noqa: PERF203  # the next place is tried
                continue


def _list_pip_folders() -> list[Path]:
    package = importlib.util.find_spec("nvidia")
    places = (package and package.submodule_search_locations) or ()
    return [Path(place) / folder for place in places for folder in _PIP_FOLDERS]


def _join(capability: str) -> str:
    return capability.replace(".", "")


def _pack(texts: list[bytes]) -> Any:  # noqa: ANN401  # a ctypes array, of a type made here
    return (c_char_p * len(texts))(*texts)


def _take_last(log: str) -> str:
    """Take the last line that names an error; a summary, how many there were, comes after it."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    return to_plain((errors or lines or [""])[-1])
