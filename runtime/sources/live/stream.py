"""Opens network streams and GStreamer pipelines."""

from __future__ import annotations

from typing import Any, Final

from edgeseg.errors import SourceError
from edgeseg.machine.opencv import has_opencv, import_opencv_for
from edgeseg.machine.pyav import import_pyav
from edgeseg.redact import GSTREAMER, encode_address
from edgeseg.runtime.sources.captures.pyav import AvCapture

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
    return open_url(url, one_thread=True)


def open_url(url: str, *, one_thread: bool = False) -> Any:  # noqa: ANN401  # as above
    """Open a URL with time limits: by default FFmpeg waits 30 s, or for ever, for a lost sender.

    PyAV opens it, and OpenCV where PyAV is absent or does not know the scheme.
    """
    if import_pyav() is not None:
        device = AvCapture(encode_address(url), one_thread=one_thread, patience_s=PATIENCE_S)
        if not device.lacks_protocol or not has_opencv():
            return device
    return _open_by_opencv(url, one_thread=one_thread)


def _open_by_opencv(url: str, *, one_thread: bool) -> Any:  # noqa: ANN401  # as above
    cv2 = import_opencv_for(url)
    limit = round(1000 * PATIENCE_S)
    asked = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
    if one_thread and hasattr(cv2, "CAP_PROP_N_THREADS"):  # an older OpenCV refuses what is unknown
        asked += [cv2.CAP_PROP_N_THREADS, 1]
    return cv2.VideoCapture(encode_address(url), cv2.CAP_FFMPEG, asked)


def open_gstreamer(pipeline: str) -> Any:  # noqa: ANN401  # as above
    """Open a pipeline that ends in an appsink."""
    cv2 = import_opencv_for(f"{GSTREAMER}{pipeline}")
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise SourceError(
            "this OpenCV was built without GStreamer; a Jetson's own has it: make it visible with "
            "python3 -m venv --system-site-packages, and run: edgeseg doctor"
        )
    return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
