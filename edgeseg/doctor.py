"""What this machine can run: engines, OpenCV and what it was built with."""

from __future__ import annotations

import importlib.util
import platform

from edgeseg.packages import installed
from edgeseg.runtime.machine import this_machine

__all__ = ["examine"]

_ENGINES = ("onnxruntime", "openvino")
_WORKSTATION = ("torch", "onnx", "safetensors", "huggingface_hub", "nncf")


def examine() -> dict[str, object]:
    """Look around, without loading more than OpenCV."""
    machine = this_machine()
    return {
        "python": platform.python_version(),
        "machine": machine.architecture,
        "cpu": machine.cpu,
        "features": list(machine.features),
        "cores": machine.cores,
        "engines": {name: installed(name) for name in _ENGINES},
        "export": {name: installed(name) for name in _WORKSTATION},
        "opencv": _opencv(),
    }


def _opencv() -> dict[str, object] | None:
    """Whichever OpenCV is there; a Jetson's own is no pip package, so it is asked itself."""
    if importlib.util.find_spec("cv2") is None:
        return None
    from edgeseg.runtime.opencv import import_opencv

    cv2 = import_opencv("looking at OpenCV")
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
