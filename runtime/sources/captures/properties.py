"""Names the properties of a capture by OpenCV's numbers, which are the same in every version.

So a capture of PyAV answers for one of OpenCV, and OpenCV is not needed to ask it.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = [
    "FOURCC",
    "FPS",
    "FRAME_COUNT",
    "FRAME_TYPE",
    "HAS_END",
    "HAS_TIMES",
    "ORIENTATION",
    "ORIENTATION_AUTO",
    "PIXEL_FORMAT",
    "POSITION_MS",
    "PYAV",
    "SENT_MS",
    "has_end",
    "read_sent_s",
]

POSITION_MS: Final = 0
FPS: Final = 5
FOURCC: Final = 6
FRAME_COUNT: Final = 7
PIXEL_FORMAT: Final = 46
ORIENTATION: Final = 48
ORIENTATION_AUTO: Final = 49
# The letter of the last frame's type, such as that of "P"; OpenCV tells it from version 4.6 on.
FRAME_TYPE: Final = 69

# 1 where the server tells the length of what it sends; OpenCV has no such number.
HAS_END: Final = 100_001
# When a stream's frame was sent, from 1000 on; 0 where unknown, as OpenCV answers what it does not
# know. OpenCV has no such number.
SENT_MS: Final = 100_000

# What a capture of PyAV answers where OpenCV's gives the name of its own reader.
PYAV: Final = "PYAV"
# The readers whose stamps are exact.
HAS_TIMES: Final = frozenset({"FFMPEG", PYAV})


def has_end(device: Any) -> bool:  # noqa: ANN401  # cv2.VideoCapture
    """Tell whether what is read from a web server is a file: its length or duration is known."""
    return bool(device.get(HAS_END) > 0 or device.get(FRAME_COUNT) > 0)


def read_sent_s(device: Any) -> float | None:  # noqa: ANN401  # cv2.VideoCapture
    """Read when the last frame was sent, in seconds from the stream's first stamp."""
    sent_ms = float(device.get(SENT_MS))
    return sent_ms / 1000 - 1 if sent_ms > 0 else None
