"""Compiles the kernels for this device, and keeps them in the user's cache.

    kernels/pixels-KEY.cubin    the code, for one architecture, one NVRTC and one source
    kernels/pixels-KEY.json     its hash, and what it was compiled for

The code is loaded only from this user's own files; see `own_cache`.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from edgeseg.errors import BackendError
from edgeseg.machine.own_cache import find_fault, make_own_folder, write_recorded
from edgeseg.progress import Say
from edgeseg.runtime.gpu.cuda import Cuda
from edgeseg.runtime.gpu.module import Module
from edgeseg.runtime.gpu.nvrtc import OPTIONS, Nvrtc, find_nvrtc

__all__ = ["open_kernels", "read_sources"]


def open_kernels(cuda: Cuda, *, say: Say) -> Module:
    """Load the kernels for the first device, from the cache or compiled now, in a second or two.

    `say` hears where the code cannot be kept.

    Raises:
        BackendError: NVRTC is missing or refuses the source, the driver refuses the code, or the
            cache belongs to somebody else.
    """
    capability = cuda.capability()
    nvrtc = find_nvrtc(capability, cuda.driver())
    return Module(_load(nvrtc, capability, say))


def read_sources() -> dict[str, str]:
    """Read the kernels' sources, by file name; `pixels.cu` is first and includes the others."""
    folder = files("edgeseg.runtime.gpu")
    names = sorted(
        (entry.name for entry in folder.iterdir() if entry.name.endswith((".cu", ".cuh"))),
        key=lambda name: (name.endswith(".cuh"), name),
    )
    return {name: folder.joinpath(name).read_text("utf-8") for name in names}


def _load(nvrtc: Nvrtc, capability: str, say: Say) -> bytes:
    sources = read_sources()
    facts = {"capability": capability, "nvrtc": nvrtc.name, "options": list(OPTIONS)}
    key = hashlib.sha256(repr((facts, sources)).encode()).hexdigest()[:16]
    path = make_own_folder("kernels") / f"pixels-{key}.cubin"
    try:
        if find_fault(path) is None:
            return path.read_bytes()
    except OSError as error:
        raise BackendError(
            f"the cache {path.parent} cannot be used: {error.strerror}; set XDG_CACHE_HOME to "
            f"another folder"
        ) from None
    code = nvrtc.compile_cubin(sources, capability)
    try:
        write_recorded(path, code, facts)
    except OSError as error:
        say(
            f"the kernels could not be kept in {path.parent} ({error.strerror}): they run now, and "
            f"are compiled again next time; make space, or set XDG_CACHE_HOME to a folder that can "
            f"be written"
        )
    return code
