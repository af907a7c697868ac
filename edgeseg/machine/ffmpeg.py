"""Asks the FFmpeg that OpenCV or PyAV brings which kinds of addresses it opens."""

from __future__ import annotations

import ctypes
import importlib
import re
from pathlib import Path
from typing import Final

__all__ = ["OPENERS", "opens_scheme"]

# The modules that open streams, and how the folder of their own libraries begins in their wheels.
OPENERS: Final = {"cv2": "opencv", "av": "av"}

_MAPPED: Final = re.compile(r"/\S*libavformat\S*")
# RTSP is a format in FFmpeg, not a protocol; each of them needs a protocol below it.
_NEEDED: Final = {"rtsp": "tcp", "rtsps": "tls"}


def opens_scheme(module: str, scheme: str) -> bool | None:
    """Tell whether the FFmpeg of `module`, "cv2" or "av", opens addresses such as `scheme`://host.

    None where that cannot be told: the module is absent, or its FFmpeg is not found.
    """
    library = _load_library(module)
    if library is None:
        return None
    library.avio_find_protocol_name.restype = ctypes.c_char_p
    library.avio_find_protocol_name.argtypes = [ctypes.c_char_p]
    library.av_find_input_format.restype = ctypes.c_void_p
    library.av_find_input_format.argtypes = [ctypes.c_char_p]
    if scheme in _NEEDED and not library.av_find_input_format(b"rtsp"):
        return False
    url = f"{_NEEDED.get(scheme, scheme)}://host"
    return library.avio_find_protocol_name(url.encode()) is not None


def _load_library(module: str) -> ctypes.CDLL | None:
    """Find the libavformat that a module loads."""
    try:
        package = importlib.import_module(module)
        mapped = set(_MAPPED.findall(Path("/proc/self/maps").read_text("utf-8", "replace")))
    except (ImportError, AttributeError, OSError):  # absent, broken, or no Linux
        return None
    site = Path(str(package.__file__)).parent.parent
    paths = [Path(path) for path in sorted(mapped)]
    # Wheels bring libraries of their own, in a folder beside the package.
    own = [
        p for p in paths if p.parent.parent == site and p.parent.name.startswith(OPENERS[module])
    ]
    shared = [path for path in paths if not path.parent.name.endswith(".libs")]
    found = (own or shared)[:1]
    try:
        return ctypes.CDLL(str(found[0])) if found else None
    except OSError:
        return None
