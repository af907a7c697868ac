"""Imports whichever OpenCV is installed, or says what to install."""

from __future__ import annotations

import os
from typing import Any, Final

from edgeseg.errors import MissingPackageError
from edgeseg.machine.extras import make_install_command
from edgeseg.redact import holds_secret, redact
from edgeseg.text import explain

__all__ = ["find_opencv_fault", "has_opencv", "import_opencv", "import_opencv_for"]

# A library reads these once, when it loads. Our errors say in one line what it would print.
_QUIET: Final = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
# Seconds that a camera may take for a frame; OpenCV's default is ten.
_PATIENT: Final = {"OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "5"}
# Other settings that make OpenCV, FFmpeg and GStreamer print addresses.
_LOUD: Final = ("OPENCV_FFMPEG_DEBUG", "OPENCV_VIDEOIO_DEBUG", "GST_DEBUG", "GST_DEBUG_FILE")


def import_opencv(purpose: str) -> Any:  # noqa: ANN401  # a module; OpenCV 4.5 ships no types
    """Import the `cv2` module, which stays quiet unless the environment asks for more.

    Raises:
        MissingPackageError: OpenCV is not installed, or does not load; the message says what it is
            needed for.
    """
    try:
        return _load()
    except ModuleNotFoundError as error:
        if error.name == "cv2":
            command = make_install_command(["opencv"])
            raise MissingPackageError("OpenCV", purpose=purpose, command=command) from None
        fault = _explain_fault(error)
    except (ImportError, AttributeError) as error:
        fault = _explain_fault(error)
    raise MissingPackageError(
        "OpenCV",
        purpose=purpose,
        state=f"which is installed but does not load ({fault})",
        command="edgeseg doctor",
    )


def find_opencv_fault() -> str | None:
    """Explain why an installed OpenCV does not load; None where it loads."""
    try:
        _load()
    except (ImportError, AttributeError) as error:
        return _explain_fault(error)
    return None


def has_opencv() -> bool:
    """Tell whether an OpenCV is installed and loads."""
    try:
        _load()
    except (ImportError, AttributeError):
        return False
    return True


def _load() -> Any:  # noqa: ANN401  # as above
    """Import `cv2`.

    Raises:
        ImportError: it is absent, or a library that it needs is.
        AttributeError: it is built against NumPy 1, and NumPy 2 is installed.
    """
    for name, value in (_QUIET | _PATIENT).items():
        os.environ.setdefault(name, value)
    import cv2

    return cv2


def _explain_fault(error: Exception) -> str:
    """Write an import's error in one line."""
    return (explain(error).strip().splitlines() or [type(error).__name__])[0]


def import_opencv_for(address: str) -> Any:  # noqa: ANN401  # as above
    """Import `cv2` to open an address; a password in the address is never printed.

    Raises:
        MissingPackageError: OpenCV is not installed, or does not load.
    """
    secret = holds_secret(address)
    if secret:
        os.environ.update(_QUIET)
        for name in _LOUD:
            os.environ.pop(name, None)
    cv2 = import_opencv(f"reading {redact(address)}")
    logging = getattr(cv2.utils, "logging", None)  # missing in older versions
    if secret and logging is not None:  # other code may have loaded OpenCV before
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    return cv2
