"""Brings OpenCV in, whichever is installed, or says what to install."""

from __future__ import annotations

import os
from typing import Any, Final

from edgeseg.errors import MissingPackageError
from edgeseg.redact import holds_secret, redact

__all__ = ["import_opencv", "import_opencv_for"]

# Read once, when a library loads. What they would print, our errors say in one line.
_QUIET: Final = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
# Seconds that a camera may take for a frame; OpenCV's own are ten.
_PATIENT: Final = {"OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "5"}
# What else makes OpenCV, FFmpeg and GStreamer print addresses.
_LOUD: Final = ("OPENCV_FFMPEG_DEBUG", "OPENCV_VIDEOIO_DEBUG", "GST_DEBUG", "GST_DEBUG_FILE")


def import_opencv(purpose: str) -> Any:  # noqa: ANN401  # a module; OpenCV 4.5 ships no types
    """The `cv2` module, quiet unless the environment asks for more.

    Raises:
        MissingPackageError: there is none; the message says what it is for.
    """
    for name, value in (_QUIET | _PATIENT).items():
        os.environ.setdefault(name, value)
    try:
        import cv2
    except ImportError:
        raise MissingPackageError(
            "OpenCV", purpose=purpose, command="pip install 'edgeseg[opencv]' -c constraints.txt"
        ) from None
    return cv2


def import_opencv_for(address: str) -> Any:  # noqa: ANN401  # as above
    """The same, to open an address; where that holds a password, nothing can make it print it.

    Raises:
        MissingPackageError: there is none.
    """
    secret = holds_secret(address)
    if secret:
        os.environ.update(_QUIET)
        for name in _LOUD:
            os.environ.pop(name, None)
    cv2 = import_opencv(f"reading {redact(address)}")
    logging = getattr(cv2.utils, "logging", None)  # older versions have none
    if secret and logging is not None:  # it may have been loaded before, by others
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    return cv2
