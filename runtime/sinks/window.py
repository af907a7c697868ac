"""Shows the overlay in a window on this machine's screen."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from edgeseg.errors import SinkError
from edgeseg.machine.opencv import import_opencv
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.result import Result

__all__ = ["WindowSink", "has_display", "explain_no_window"]

_PROBE: Final = "import cv2; cv2.namedWindow('edgeseg'); cv2.waitKey(1)"
_PROBE_S: Final = 20
_ENDING_KEYS: Final = (ord("q"), 27)  # 27 is Escape


def has_display() -> bool:
    """Tell whether this session names a screen; the screen may still be out of reach."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def explain_no_window() -> str | None:
    """Explain why no window can be opened here, and what to do; None where one can be opened.

    A process of its own tries it, because a window system that is out of reach ends the process.
    That process works in an empty folder, because Python imports from its working folder first.
    """
    if not has_display():
        return "there is no display; use --preview to watch in a browser"
    try:
        with tempfile.TemporaryDirectory() as empty:
            tried = subprocess.run(
                [sys.executable, "-c", _PROBE],
                cwd=empty,
                capture_output=True,
                timeout=_PROBE_S,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return "the display does not answer; use --preview to watch in a browser"
    if tried.returncode == 0:
        return None
    if b"ModuleNotFoundError" in tried.stderr:
        return "OpenCV is not installed; run: pip install opencv-python"
    if b"ImportError" in tried.stderr:
        return "the installed OpenCV does not load; run: edgeseg doctor"
    if b"not implemented" in tried.stderr:
        return (
            "this OpenCV was built without windows; replace opencv-python-headless by "
            "opencv-python, or use --preview to watch in a browser"
        )
    return "the display cannot be used; use --preview to watch in a browser"


class WindowSink:
    """Shows the newest frame. Closing the window, or pressing q or Escape, calls `end`."""

    def __init__(self, title: str, overlay: Overlay, end: Callable[[], None]) -> None:
        self._cv2 = import_opencv("a window")
        self._title = title
        self._overlay = overlay
        self._end = end
        self._cv2.namedWindow(title, self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_KEEPRATIO)

    def write(self, result: Result, /) -> None:
        """Show one frame, and look for keys."""
        drawn = self._overlay.show(result)
        try:
            self._cv2.imshow(self._title, drawn)
            key = self._cv2.waitKey(1) & 0xFF
            gone = self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) < 1
        except self._cv2.error as error:
            raise SinkError(f"the window cannot be drawn: {error}") from None
        if gone or key in _ENDING_KEYS:
            self._end()

    def finish(self) -> None:
        """Close the window."""
        with suppress(self._cv2.error):
            self._cv2.destroyWindow(self._title)

    def discard(self) -> None:
        """Close the window."""
        self.finish()
