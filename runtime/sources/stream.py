"""Network streams and GStreamer pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edgeseg.errors import SourceError
from edgeseg.redact import encode_user
from edgeseg.runtime.opencv import import_opencv

__all__ = ["STREAM_SCHEMES", "WEB_SCHEMES", "is_file", "open_gstreamer", "open_stream"]

WEB_SCHEMES: Final = ("http://", "https://")
STREAM_SCHEMES: Final = ("rtsp://", "rtsps://", *WEB_SCHEMES)

_PATIENCE_MS: Final = 5000
_VIDEO_SUFFIXES: Final = (".avi", ".mkv", ".mov", ".mp4", ".webm")


def is_file(url: str) -> bool:
    """Whether a web address is a video with an end, by its ending: asking it would use it up."""
    return Path(urlsplit(url).path).suffix.lower() in _VIDEO_SUFFIXES


def open_stream(url: str, name: str) -> Any:  # noqa: ANN401  # cv2.VideoCapture
    """With time limits, and decoded by one thread.

    FFmpeg waits half a minute for a sender that is gone. Its decoder holds back a frame for each
    further thread: two made a 25 fps stream 40 ms older (tests/runtime/test_endurance.py reads it
    from the picture), and it takes one for each core.
    """
    cv2 = import_opencv(f"reading {name}")
    asked = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _PATIENCE_MS]
    asked += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _PATIENCE_MS]
    if hasattr(cv2, "CAP_PROP_N_THREADS"):  # an older OpenCV refuses what it does not know
        asked += [cv2.CAP_PROP_N_THREADS, 1]
    return cv2.VideoCapture(encode_user(url), cv2.CAP_FFMPEG, asked)


def open_gstreamer(pipeline: str) -> Any:  # noqa: ANN401  # as above
    """A pipeline that ends in an appsink."""
    cv2 = import_opencv("reading a GStreamer pipeline")
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise SourceError(
            "this OpenCV was built without GStreamer; a Jetson's own has it: make it visible with "
            "python3 -m venv --system-site-packages, and run: edgeseg doctor"
        )
    return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
