"""Finds what this machine can run, what is missing and how to fix it. Changes nothing."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgeseg.errors import BackendError
from edgeseg.machine.cache import find_cache_folder
from edgeseg.machine.cameras import list_cameras
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.extras import EXTRAS, make_install_command
from edgeseg.machine.jetson import read_jetson, read_state
from edgeseg.machine.packages import find_engine_version, find_version
from edgeseg.machine.pyav import import_pyav
from edgeseg.memory import find_free_memory
from edgeseg.targets import DEFAULT_TARGET, TARGETS

__all__ = ["Problem", "examine", "examine_opencv"]

# An engine's build takes some GB; masks and videos need space.
_LITTLE_MEMORY: Final = 2e9
_LITTLE_DISK: Final = 1e9
_INSTALL_OPENCV: Final = make_install_command(["opencv"])
_RTX: Final = "tensorrt-rtx-cu13-bindings"
_INSTALL_DRIVER: Final = (
    "install NVIDIA's driver 580 or newer (Ubuntu: sudo ubuntu-drivers install), and restart"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is missing or does not fit, and the command that fixes it."""

    what: str
    remedy: str


def examine(root: Path = Path("/")) -> dict[str, object]:
    """Examine this machine; files of the system are read below `root`."""
    machine, board = describe_machine(), read_jetson(root)
    opencv = examine_opencv()
    cuda = _examine_cuda()
    findings: dict[str, object] = {
        "edgeseg": find_version("edgeseg"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": machine.architecture,
        "cpu": machine.cpu,
        "features": list(machine.features),
        "cores": machine.cores,
        "engines": {row.engine: find_engine_version(row) for row in TARGETS.values()},
        "devices": _list_devices(),
        "extras": {
            name: {
                "what": extra.what,
                "missing": list(extra.missing),
                "versions": {package: find_version(package) for package in extra.names},
            }
            for name, extra in EXTRAS.items()
        },
        "opencv": opencv,
        "jetson": None
        if not board.l4t
        else {**asdict(board), "jetpack": board.jetpack, **asdict(read_state(root))},
        "cuda": cuda,
        "cameras": [f"video{number}" for number in list_cameras(root)],
        "memory_free": find_free_memory(root),
        "disk_free": shutil.disk_usage(_find_existing(find_cache_folder())).free,
    }
    findings["problems"] = [asdict(problem) for problem in _find_problems(findings)]
    return findings


def _find_problems(found: Mapping[str, Any]) -> Iterator[Problem]:
    on_jetson = found["jetson"] is not None
    yield from _find_video_problems(found, on_jetson=on_jetson)
    if on_jetson:
        yield from _find_jetson_problems(found)
    elif found["engines"].get(_RTX) is not None and "error" in found["cuda"]:
        fault = found["cuda"]["error"].removesuffix("; run: edgeseg doctor")
        yield Problem(what=f"TensorRT-RTX has no GPU: {fault}", remedy=_INSTALL_DRIVER)
    default = TARGETS[DEFAULT_TARGET]
    if found["engines"][default.engine] is None:
        yield Problem(what=f"no {default.title}", remedy=f"pip install {default.package}")
    yield from _find_space_problems(found["memory_free"], found["disk_free"])


def _find_video_problems(found: Mapping[str, Any], *, on_jetson: bool) -> Iterator[Problem]:
    opencv = found["opencv"]
    if opencv is None:
        remedy = "sudo apt install python3-opencv" if on_jetson else _INSTALL_OPENCV
        lacks = "cameras" if import_pyav() is not None else "videos, streams and cameras"
        yield Problem(what=f"no OpenCV: no {lacks}", remedy=remedy)
    elif "error" in opencv:
        yield _explain_opencv(opencv["error"])
    elif on_jetson and not opencv["gstreamer"]:
        yield Problem(
            what="this OpenCV has no GStreamer, which CSI cameras need",
            remedy="pip uninstall opencv-python-headless opencv-python; JetPack brings one with it",
        )


def _explain_opencv(fault: str) -> Problem:
    """Say what helps an OpenCV that does not load, as far as its error tells."""
    if "numpy" in fault.lower() or "_ARRAY_API" in fault:
        return Problem(
            what=f"NumPy 2 does not fit this OpenCV: {fault}", remedy="pip install 'numpy<2'"
        )
    if "libGL" in fault:
        remedy = "sudo apt install libgl1; or use opencv-python-headless, which needs no screen"
    else:
        remedy = f"pip uninstall opencv-python opencv-python-headless; {_INSTALL_OPENCV}"
    return Problem(what=f"OpenCV does not load: {fault}", remedy=remedy)


def _find_jetson_problems(found: Mapping[str, Any]) -> Iterator[Problem]:
    if found["engines"]["tensorrt"] is None:
        yield Problem(
            what="TensorRT is not visible to this Python",
            remedy="sudo apt install nvidia-jetpack; python3 -m venv --system-site-packages .venv",
        )
    for fault in ("error", "no_nvrtc"):
        if fault in found["cuda"]:
            yield Problem(what=found["cuda"][fault], remedy="sudo apt install nvidia-jetpack")


def _find_space_problems(memory: int | None, disk: int) -> Iterator[Problem]:
    if memory is not None and memory < _LITTLE_MEMORY:
        yield Problem(
            what=f"only {memory / 1e9:.1f} GB of memory are free", remedy="close other programs"
        )
    if disk < _LITTLE_DISK:
        yield Problem(
            what=f"only {disk / 1e9:.1f} GB are free for the cache",
            remedy=f"set XDG_CACHE_HOME to a larger disk, or clear {find_cache_folder()}",
        )


def examine_opencv() -> dict[str, object] | None:
    """Import OpenCV and ask it for its version and parts; None where there is none.

    The one of a Jetson is no pip package.
    """
    if importlib.util.find_spec("cv2") is None:
        return None
    from edgeseg.machine.opencv import find_opencv_fault, import_opencv

    fault = find_opencv_fault()
    if fault is not None:
        return {"error": fault}
    cv2 = import_opencv("edgeseg doctor")
    build = {
        key.strip(): value.strip()
        for key, separator, value in (
            line.partition(":") for line in cv2.getBuildInformation().splitlines()
        )
        if separator
    }
    return {
        "version": cv2.__version__,
        "ffmpeg": build.get("FFMPEG", "NO").startswith("YES"),
        "gstreamer": build.get("GStreamer", "NO").startswith("YES"),
        "window": build.get("GUI", "NONE") != "NONE",
    }


def _list_devices() -> dict[str, list[str]]:
    """List the devices of each installed engine that runs artifacts as they were exported."""
    from edgeseg.runtime.backends.backend import load_runner

    return {
        row.engine: [
            f"{device.name} ({device.title})" if device.title else device.name
            for device in load_runner(row.name).list_devices()
        ]
        for row in TARGETS.values()
        if not row.on_device and find_engine_version(row) is not None
    }


def _examine_cuda() -> dict[str, object]:
    """Find the device, and what compiles the kernels for it; without that the CPU makes masks."""
    from edgeseg.runtime.gpu.cuda import Cuda
    from edgeseg.runtime.gpu.nvrtc import find_nvrtc

    try:
        cuda = Cuda()
        found = {"driver": cuda.driver(), "capability": cuda.capability()}
    except BackendError as error:
        return {"error": str(error).partition(";")[0]}
    try:
        return {**found, "nvrtc": find_nvrtc(cuda.capability(), cuda.driver()).name}
    except BackendError as error:
        return {**found, "nvrtc": None, "no_nvrtc": str(error).partition(";")[0]}


def _find_existing(folder: Path) -> Path:
    """Find the nearest folder that exists and that this user may read: `folder`, or a parent."""
    return next(path for path in (folder, *folder.parents) if _is_there(path))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder above it is closed
        return False
