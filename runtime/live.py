"""A camera or stream that is opened again when it is lost, until somebody stops it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from edgeseg.errors import SourceError
from edgeseg.pixels import Bgr

__all__ = ["CameraOptions", "LiveDevice", "Retry"]

# Seconds before each further attempt; the last one again and again. A camera's driver or a
# restarted server takes some seconds, a cable somebody's walk.
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOptions:
    """What a camera is asked for; it may give something else."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often in a row a lost source is opened again (None: until it is back), and who hears."""

    attempts: int | None = 0
    tell: Callable[[str], None] = lambda _line: None


class LiveDevice:
    """Reads an OpenCV capture. `stop` may be called from another thread, and ends any waiting."""

    def __init__(self, name: str, device: Any, reopen: Callable[[], Any], retry: Retry) -> None:  # noqa: ANN401  # cv2.VideoCapture, untyped before 4.9
        self._name = name
        self._device = device
        self._reopen = reopen
        self._retry = retry
        self._stopped = threading.Event()
        self.lost = 0

    def images(self) -> Iterator[Bgr]:
        """Every frame as it comes, without end.

        Raises:
            SourceError: it is lost, and was not back after as many attempts as were asked for.
        """
        count = 0
        while not self._stopped.is_set():
            arrived, image = self._device.read()
            if arrived:
                count += 1
                yield image
            elif not self._came_back(count):
                return

    def stop(self) -> None:
        """Give no further frame, and wait for none."""
        self._stopped.set()

    def release(self) -> None:
        """Let go of the device. Calling twice is harmless."""
        self._stopped.set()
        self._device.release()

    def _came_back(self, count: int) -> bool:
        """Open it again, more and more slowly; false where it was stopped meanwhile."""
        self.lost += 1
        self._device.release()
        attempt = 0
        while self._retry.attempts is None or attempt < self._retry.attempts:
            wait = BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)]
            attempt += 1
            self._say(f"lost after {count} frames, attempt {attempt} in {wait:g} s")
            if self._stopped.wait(wait):
                return False
            self._device = self._reopen()
            if self._device.isOpened():
                self._say(f"back after attempt {attempt}; lost {self.lost} times so far")
                return True
            self._device.release()
        tried = f" and was not back after {attempt} attempts" if attempt else ""
        raise SourceError(
            f"{self._name} gave no more frames after {count}{tried}; is it still connected?"
        )

    def _say(self, line: str) -> None:
        self._retry.tell(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self._name}: {line}")
