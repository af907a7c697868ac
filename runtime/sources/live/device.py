"""Gives a camera or stream as frames, and opens it again when it is lost.

The camera or stream must be there at the start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import numpy as np

from edgeseg.errors import GivenUpError, SourceError
from edgeseg.pixels import Bgr
from edgeseg.redact import GSTREAMER
from edgeseg.runtime.events import Event, Kind, Tell
from edgeseg.runtime.sources.address import is_stream
from edgeseg.runtime.sources.captures.formats import to_bgr
from edgeseg.runtime.sources.captures.patient import PatientCapture
from edgeseg.runtime.sources.captures.properties import has_end, read_sent_s
from edgeseg.runtime.sources.captures.rate import read_rate
from edgeseg.runtime.sources.captures.watch import watch_clock, watch_rate, watch_sizes
from edgeseg.runtime.sources.captures.whole import WholeCapture
from edgeseg.runtime.sources.live.camera import describe_opened
from edgeseg.runtime.sources.naming import (
    explain_cannot_open,
    explain_no_frame,
    explain_not_bgr,
    name_source,
)
from edgeseg.runtime.sources.options import Retry
from edgeseg.runtime.sources.source import Captured, Source
from edgeseg.text import pluralize

__all__ = ["LiveDevice", "open_live"]

# Seconds before each further attempt; the last value repeats. A camera's driver or a restarted
# server needs some seconds; a cable needs somebody to walk there.
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# Seconds from opening to the first frame: cameras need one or two, and some need another attempt.
FIRST_FRAME_S: Final = 5.0
_BETWEEN_TRIES_S: Final = 0.1
_NOT_YET: Final = "gives no frame yet"


@contextmanager
def open_live(
    uri: str | int,
    open_: Callable[[], Any],
    retry: Retry,
    *,
    as_file: Callable[[PatientCapture], Source] | None = None,
) -> Iterator[Source]:
    """Open a source by `open_`, again when it is lost, and release it at the end.

    Of a web address, `as_file` makes the source if what was opened has an end.

    Raises:
        SourceError: it does not open, or gives no frame. Later, while iterating: it is lost.
    """
    name = name_source(uri)
    capture = PatientCapture(uri, lambda: WholeCapture(open_(), name, retry.report))
    try:
        device = LiveDevice(uri, capture, retry, may_end=as_file is not None)
        absent = device.start()
        if device.ends and as_file is not None:
            yield as_file(capture)
            return
        yield Source(
            name=name if absent else describe_opened(capture, uri),
            frames=_watch(_read_live(device), name, retry.report),
            fps=read_rate(capture),
            length=None,
            live=True,
            stop=capture.stop,
            absent=absent,
        )
    finally:
        capture.close()


class LiveDevice:
    """The frames of a capture, which is opened again when it is lost.

    `sent_s` is when the last frame was sent, as `Captured.sent_s`. What `may_end` is asked at each
    opening whether it `ends`; then it is not opened again.
    """

    def __init__(
        self, uri: str | int, capture: PatientCapture, retry: Retry, *, may_end: bool = False
    ) -> None:
        self._uri = uri
        self._capture = capture
        self._retry = retry
        self._first: Bgr | None = None
        self._lost = 0
        self._may_end = may_end
        self.ends = False
        self.sent_s: float | None = None

    def start(self) -> str | None:
        """Open the capture and wait for its first frame, as often as the attempts allow.

        The first frame of what ends is not read.
        Without a limit there is one attempt only, so that a wrong address is noticed. Where the
        source may be waited for, there is one attempt, too, and the reason of its fault is
        returned.

        Raises:
            SourceError: the capture does not open, or gives no frame; with the likely reason.
        """
        attempt = 0
        while (fault := self._find_fault_at_start()) is not None:
            if self._retry.wait:
                return fault
            if attempt >= (self._retry.attempts or 0):
                raise SourceError(fault)
            attempt += 1
            self._pause("retry", attempt, _NOT_YET)
        return None

    def _find_fault_at_start(self) -> str | None:
        """Explain why there is no first frame; None where there is one."""
        if not self._open():
            return explain_cannot_open(self._uri, hangs=self._capture.hangs)
        if self.ends:
            return None
        until = time.monotonic() + FIRST_FRAME_S
        while (image := self._capture.read()) is None:
            if self._capture.hangs or time.monotonic() > until:
                return explain_no_frame(self._uri)
            self._capture.stopped.wait(_BETWEEN_TRIES_S)
        self._note_sent()
        self._first = _to_bgr(image, self._uri)
        return None

    def _open(self) -> bool:
        opened = self._capture.open()
        self.ends = opened and self._may_end and has_end(self._capture)
        return opened

    def _note_sent(self) -> None:
        """Note when the frame that was just read was sent, as `sent_s`."""
        self.sent_s = read_sent_s(self._capture) if is_stream(self._uri) else None

    def read_images(self) -> Iterator[Bgr]:
        """Give every frame as it comes, without end.

        Raises:
            SourceError: the capture is lost, and all attempts to open it again gave no frame.
        """
        count = attempt = 0
        while not self._capture.stopped.is_set():
            image, self._first = self._first, None
            if image is None and (image := self._capture.read()) is not None:
                self._note_sent()
            if image is not None:
                if attempt:
                    self._tell(
                        "back", f"back after attempt {attempt}; lost {self._lost} times so far"
                    )
                attempt, count = 0, count + 1
                yield _to_bgr(image, self._uri)
            elif self.ends and not attempt:
                return
            elif not self._capture.stopped.is_set():
                attempt += 1
                self._open_again(count, attempt)

    def _open_again(self, count: int, attempt: int) -> None:
        """Open the capture again, after a pause that grows with the attempts without a frame."""
        if self._retry.attempts is not None and attempt > self._retry.attempts:
            self._give_up(count, attempt - 1)
        self._lost += attempt == 1
        kind: Kind = "lost" if attempt == 1 and count else "retry"
        self._pause(kind, attempt, f"lost after {count} frames" if count else _NOT_YET)
        if not self._capture.stopped.is_set():
            self._open()

    def _give_up(self, count: int, attempts: int) -> NoReturn:
        name, tried = name_source(self._uri), pluralize(attempts, "attempt")
        if not count:
            more = f", nor in {tried} after that" if attempts else ""
            raise GivenUpError(f"{name} gave no frame at the start{more}; is it there at all?")
        if not attempts:
            raise SourceError(f"{name} gave no more frames after {count}; is it still connected?")
        raise GivenUpError(
            f"{name} gave no more frames after {count} and was not back after {tried}; is it still "
            f"connected?"
        )

    def _pause(self, kind: Kind, attempt: int, why: str) -> None:
        """Say why, release the capture, and wait until the next attempt."""
        hung = self._capture.hangs
        wait = BACK_OFF_S[min(attempt, len(BACK_OFF_S)) - 1]
        # A hang is reported once only: each line keeps the service manager from restarting the run.
        if attempt == 1 or not hung:
            why = "does not answer" if hung else why
            self._tell(kind, f"{why}, attempt {attempt} in {wait:g} s")
        if not hung:
            self._capture.release()
        self._capture.stopped.wait(wait)

    def _tell(self, kind: Kind, what: str) -> None:
        self._retry.report(Event(kind=kind, text=f"{name_source(self._uri)}: {what}"))


def _to_bgr(image: Bgr, uri: str | int) -> Bgr:
    """Convert a pipeline's frame, which may be of another format; check any other source's."""
    if isinstance(uri, str) and uri.startswith(GSTREAMER):
        return to_bgr(image, uri.removeprefix(GSTREAMER))
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise SourceError(explain_not_bgr(image, uri))
    return image


def _read_live(device: LiveDevice) -> Iterator[Captured]:
    start = time.perf_counter()
    for index, image in enumerate(device.read_images()):
        now, wall_s = time.perf_counter(), time.time()
        yield Captured(
            index=index,
            name=f"{index:06d}",
            time_s=now - start,
            at=now,
            wall_s=wall_s,
            sent_s=device.sent_s,
            image=image,
        )


def _watch(frames: Iterator[Captured], name: str, tell: Tell) -> Iterator[Captured]:
    for watch in (watch_sizes, watch_rate, watch_clock):
        frames = watch(frames, name, tell)
    return frames
