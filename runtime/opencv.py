"""Brings OpenCV in, whichever is installed, or says what to install."""

from __future__ import annotations

import os
from typing import Any

from edgeseg.errors import MissingPackageError

__all__ = ["import_opencv"]


def import_opencv(purpose: str) -> Any:  # noqa: ANN401  # a module; OpenCV 4.5 ships no types
    """The `cv2` module, quiet.

    Raises:
        MissingPackageError: there is none; the message says what it is for.
    """
    # Read once, when the library loads. What they would print, our errors say in one line.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError:
        raise MissingPackageError(
            "OpenCV", purpose=purpose, command="pip install 'edgeseg[opencv]'"
        ) from None
    return cv2
