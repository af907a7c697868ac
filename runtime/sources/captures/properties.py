"""Names the properties of a capture by OpenCV's numbers, which are the same in every version.

So a capture of PyAV answers for one of OpenCV, and OpenCV is not needed to ask it.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "FOURCC",
    "FPS",
    "FRAME_COUNT",
    "FRAME_TYPE",
    "HAS_TIMES",
    "ORIENTATION",
    "ORIENTATION_AUTO",
    "PIXEL_FORMAT",
    "POSITION_MS",
    "PYAV",
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

# What a capture of PyAV answers where OpenCV's gives the name of its own reader.
PYAV: Final = "PYAV"
# The readers whose stamps are exact.
HAS_TIMES: Final = frozenset({"FFMPEG", PYAV})
