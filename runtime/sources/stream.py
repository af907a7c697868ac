"""Opens network streams and GStreamer pipelines."""

from __future__ import annotations

from typing import Any, Final

from edgeseg.errors import SourceError
from edgeseg.machine.opencv import import_opencv_for
from edgeseg.redact import GSTREAMER, encode_address

__all__ = [
    "PATIENCE_S",
    "open_gstreamer",
    "open_stream",
    "open_url",
]

# Seconds to wait for a server that does not answer, or sends nothing more.
PATIENCE_S: Final = 5.0


def open_stream(url: str) -> Any:  # noqa: ANN401  # cv2.VideoCapture
    """Open a stream that one thread decodes.

    FFmpeg's decoder holds back a frame for each further thread, and by default takes a thread for
    each core. Two threads made a 25 fps stream 40 ms older (tests/runtime/live/test_endurance.py
    reads the age from the picture).
    """
    cv2 = import_opencv_for(url)
    known = hasattr(cv2, "CAP_PROP_N_THREADS")  # an older OpenCV refuses unknown properties
    return open_url(url, *((cv2.CAP_PROP_N_THREADS, 1) if known else ()))


def open_url(url: str, *asked: int) -> Any:  # noqa: ANN401  # as above
    """Open a URL by FFmpeg, with time limits: by default it waits 30 s for a lost sender."""
    cv2 = import_opencv_for(url)
    limit = round(1000 * PATIENCE_S)
    limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit)
    return cv2.VideoCapture(encode_address(url), cv2.CAP_FFMPEG, [*limits, *asked])


def open_gstreamer(pipeline: str) -> Any:  # noqa: ANN401  # as above
    """Open a pipeline that ends in an appsink."""
    cv2 = import_opencv_for(f"{GSTREAMER}{pipeline}")
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise SourceError(
            "this OpenCV was built without GStreamer; a Jetson's own has it: make it visible with "
            "python3 -m venv --system-site-packages, and run: edgeseg doctor"
        )
    return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
