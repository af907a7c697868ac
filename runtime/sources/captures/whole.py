"""Skips the frames before the first one that a decoder can make whole.

A stream that is joined, or a file that is cut, between two key frames begins with frames that refer
to one that is missing. For H.264, H.265, MPEG-2 and VP9, FFmpeg's decoders drop these frames. For
MPEG-4 Visual and H.263 they draw them over gray; the frames' types tell then.
"""

from __future__ import annotations

import time
from typing import Any, Final

from edgeseg.runtime.events import Event, Tell
from edgeseg.runtime.sources.captures import properties
from edgeseg.text import pluralize

__all__ = ["WholeCapture"]

# The codes of MPEG-4 Visual and H.263 in AVI, MP4 and of FFmpeg itself, in lower case.
_DRAWN_OVER_GRAY: Final = {
    *("fmp4", "mp4v", "xvid", "divx", "dx50", "mp4s", "m4s2", "3iv2", "divf"),
    *("h263", "s263", "u263", "i263", "flv1"),
}
_BUILT_ON_OTHERS: Final = {ord("P"), ord("B"), ord("S")}
# Below the time for which a driver counts as hanging (patient.py), and twice what usual cameras
# take to a key frame.
_MOST_S: Final = 8.0
# For files, which are read faster: the longest distance of key frames that encoders choose.
_MOST_FRAMES: Final = 300


class WholeCapture:
    """A capture of OpenCV or PyAV whose first frame is whole, where that can be told.

    `tell` hears how many frames were skipped. OpenCV tells a frame's type from version 4.6 on.
    """

    def __init__(self, device: Any, name: str, tell: Tell) -> None:  # noqa: ANN401  # cv2.VideoCapture
        self._device = device
        self._name = name
        self._tell = tell
        self._begun = False

    def read(self) -> tuple[bool, Any]:
        """Read the next frame, or False where there is none."""
        arrived, image = self._device.read()
        if arrived and not self._begun:
            self._begun = True
            return self._skip(image)
        return arrived, image

    def _skip(self, image: Any) -> tuple[bool, Any]:  # noqa: ANN401  # as OpenCV's
        """Read on from `image`, the first frame, until a frame is whole."""
        arrived, skipped, until = True, 0, time.monotonic() + _MOST_S
        while arrived and self._is_broken():
            if skipped == _MOST_FRAMES or time.monotonic() > until:
                self._report(f"no whole frame after {skipped} broken ones, which were skipped")
                return arrived, image
            skipped += 1
            arrived, image = self._device.read()
        if skipped:
            self._report(f"skipped {pluralize(skipped, 'broken frame')} before the first whole one")
        return arrived, image

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401  # what OpenCV's gives
        """Pass every other call on."""
        return getattr(self._device, method)

    def _is_broken(self) -> bool:
        code = int(self._device.get(properties.FOURCC))
        codec = (code & 0xFFFFFFFF).to_bytes(4, "little").decode("latin-1").lower()
        if codec not in _DRAWN_OVER_GRAY:
            return False
        return int(self._device.get(properties.FRAME_TYPE)) in _BUILT_ON_OTHERS

    def _report(self, what: str) -> None:
        self._tell(Event(kind="broken", text=f"{self._name}: {what}"))
