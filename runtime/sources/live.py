"""A camera or stream as frames: there at the start, and opened again when it is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from edgeseg.errors import SourceError
from edgeseg.pixels import Bgr
from edgeseg.runtime.sources.camera import describe_opened
from edgeseg.runtime.sources.naming import (
    explain_cannot_open,
    explain_no_frame,
    explain_not_bgr,
    name_source,
)
from edgeseg.runtime.sources.options import Retry
from edgeseg.runtime.sources.patient import PatientCapture
from edgeseg.runtime.sources.rate import read_rate
from edgeseg.runtime.sources.source import Captured, Source

__all__ = ["LiveDevice", "open_live"]

# Seconds before each further attempt; the last one again and again. A camera's driver or a
# restarted server takes some seconds, a cable somebody's walk.
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# After it was opened: cameras need a second or two for the first frame, and some a try or two.
FIRST_FRAME_S: Final = 5.0
_BETWEEN_TRIES_S: Final = 0.1


@contextmanager
def open_live(uri: str | int, open_: Callable[[], Any], retry: Retry) -> Iterator[Source]:
    """What `open_` opens, and opens again when it is lost; released at the end.

    Raises:
        SourceError: it does not open, or gives no frame. Later, while walking: it is lost.
    """
    capture = PatientCapture(uri, open_)
    try:
        device = LiveDevice(uri, capture, retry)
        device.start()
        yield Source(
            name=describe_opened(capture, uri),
            frames=_read_live(device),
            fps=read_rate(capture),
            length=None,
            live=True,
            stop=capture.stop,
        )
    finally:
        capture.close()


class LiveDevice:
    """The frames of a capture that is lost and found again."""

    def __init__(self, uri: str | int, capture: PatientCapture, retry: Retry) -> None:
        self._uri = uri
        self._capture = capture
        self._retry = retry
        self._first: Bgr | None = None
        self._lost = 0

    def start(self) -> None:
        """Open it, and wait for its first frame; again as often as a limit of attempts says.

        Without a limit once: whoever waits without end would not learn of a wrong address.

        Raises:
            SourceError: it does not open, or gives none, with the likely reason.
        """
        attempt = 0
        while (fault := self._fault_at_the_start()) is not None:
            if attempt >= (self._retry.attempts or 0):
                raise SourceError(fault)
            attempt += 1
            self._pause(attempt, "gives no frame yet")

    def _fault_at_the_start(self) -> str | None:
        """Why there is no first frame, with the likely reason; None where there is one."""
        if not self._capture.open():
            return explain_cannot_open(self._uri, hangs=self._capture.hangs)
        until = time.monotonic() + FIRST_FRAME_S
        while (image := self._capture.read()) is None:
            if self._capture.hangs or time.monotonic() > until:
                return explain_no_frame(self._uri)
            self._capture.stopped.wait(_BETWEEN_TRIES_S)
        self._first = _check(image, self._uri)
        return None

    def images(self) -> Iterator[Bgr]:
        """Every frame as it comes, without end.

        Raises:
            SourceError: it is lost, and gave none after as many attempts as were asked for.
        """
        count = attempt = 0
        while not self._capture.stopped.is_set():
            image, self._first = self._first, None
            image = self._capture.read() if image is None else image
            if image is not None:
                if attempt:
                    self._say(f"back after attempt {attempt}; lost {self._lost} times so far")
                attempt, count = 0, count + 1
                yield _check(image, self._uri)
            elif not self._capture.stopped.is_set():
                attempt += 1
                self._open_again(count, attempt)

    def _open_again(self, count: int, attempt: int) -> None:
        """After a pause that grows with the attempts since the last frame."""
        if self._retry.attempts is not None and attempt > self._retry.attempts:
            tried = f" and was not back after {attempt - 1} attempts" if attempt > 1 else ""
            raise SourceError(
                f"{name_source(self._uri)} gave no more frames after {count}{tried}; is it still "
                f"connected?"
            )
        self._lost += attempt == 1
        self._pause(attempt, f"lost after {count} frames")
        if not self._capture.stopped.is_set():
            self._capture.open()

    def _pause(self, attempt: int, why: str) -> None:
        """Say why, let go of it, and wait until it is to be opened again."""
        hung = self._capture.hangs
        wait = BACK_OFF_S[min(attempt, len(BACK_OFF_S)) - 1]
        # What hangs is told once: a service manager, which hears of each line, is to start it anew.
        if attempt == 1 or not hung:
            self._say(f"{'does not answer' if hung else why}, attempt {attempt} in {wait:g} s")
        if not hung:
            self._capture.release()
        self._capture.stopped.wait(wait)

    def _say(self, line: str) -> None:
        self._retry.say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {name_source(self._uri)}: {line}")


def _check(image: Bgr, uri: str | int) -> Bgr:
    """The same, once it is known to be a picture in colors: a pipeline may give other formats."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise SourceError(explain_not_bgr(image, uri))
    return image


def _read_live(device: LiveDevice) -> Iterator[Captured]:
    start = time.perf_counter()
    for index, image in enumerate(device.images()):
        now = time.perf_counter()
        yield Captured(index=index, name=f"{index:06d}", time_s=now - start, at=now, image=image)
