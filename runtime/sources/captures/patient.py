"""Calls a driver or library, whose calls may never return, in a thread of its own.

A caller waits at most `HANG_S`, or until somebody calls `stop`. The thread is then left behind. It
releases the device when the call returns, because a release during the call would crash.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from edgeseg.errors import EdgesegError, SourceError
from edgeseg.pixels import Bgr
from edgeseg.redact import GSTREAMER, scrub
from edgeseg.runtime.sources.naming import name_source
from edgeseg.runtime.threads import start_thread

__all__ = ["HANG_S", "PatientCapture", "has_left_behind"]

# Longer than the time limits of FFmpeg and V4L.
HANG_S: Final = 10.0
# OpenCV gives a GStreamer pipeline half a minute to start (`CAP_PROP_OPEN_TIMEOUT_MSEC`).
PIPELINE_S: Final = 35.0
# How long the release of a device may take at the end of a run.
CLOSE_S: Final = 2.0

_THREAD: Final = "edgeseg device"


@dataclass
class _Task:
    call: Callable[[], Any]
    done: bool = False
    left: bool = False
    value: Any = None
    error: BaseException | None = None


class PatientCapture:
    """An OpenCV capture of `uri` that can be opened again; waiting for it is bounded.

    `hangs` tells whether a call has not returned. Another thread may call `stop`, which ends all
    waiting and reading.
    """

    def __init__(self, uri: str | int, open_: Callable[[], Any]) -> None:
        self._uri = uri
        self._open = open_
        self._device: Any = None
        self._tasks: deque[_Task | None] = deque()
        self._changed = threading.Condition()
        self.stopped = threading.Event()
        self.hangs = False
        self._thread = threading.Thread(target=self._work, name=_THREAD, daemon=True)
        start_thread(self._thread)

    def open(self) -> bool:
        """Open the device, and release it first where it is open; return false where this fails.

        Raises:
            SourceError: OpenCV failed.
            MissingPackageError: there is no OpenCV.
        """

        def open_device() -> bool:
            self._let_go()
            self._device = self._open()
            return bool(self._device.isOpened())

        pipeline = isinstance(self._uri, str) and self._uri.startswith(GSTREAMER)
        return bool(self._wait_for(open_device, PIPELINE_S if pipeline else HANG_S))

    def read(self) -> Bgr | None:
        """Read the next frame; None where there is none."""

        def frame() -> Bgr | None:
            if self._device is None:
                return None
            arrived, image = self._device.read()
            return image if arrived else None

        found: Bgr | None = self._wait_for(frame)
        return found

    def get(self, prop: int) -> float:
        """Get a property of the capture; 0 where it is unknown."""
        return float(self.ask("get", prop) or 0)

    def ask(self, method: str, *arguments: object) -> Any:  # noqa: ANN401  # what OpenCV's gives
        """Call a method of OpenCV's capture; None where the wait for it ended first."""
        return self._wait_for(lambda: getattr(self._device, method)(*arguments))

    def release(self) -> None:
        """Release the device; it may be opened again."""
        self._wait_for(self._let_go)

    def stop(self) -> None:
        """End all waiting."""
        self.stopped.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Release the device for good. Calling twice is harmless."""
        self.stop()
        with self._changed:
            self._tasks.append(None)
            self._changed.notify_all()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():  # OpenCV's return into an ending Python would abort it
            atexit.register(self._thread.join, HANG_S)

    def _wait_for(self, call: Callable[[], Any], seconds: float | None = None) -> Any:  # noqa: ANN401  # what the call gives
        task = _Task(call)
        until = time.monotonic() + (HANG_S if seconds is None else seconds)
        with self._changed:
            self._tasks.append(task)
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: task.done or self.stopped.is_set(), until - time.monotonic()
            )
            task.left = not task.done
            self.hangs = task.left and not self.stopped.is_set()
        if isinstance(task.error, EdgesegError):
            raise task.error
        if task.error is not None:
            reason = scrub(str(task.error).strip(), str(self._uri))
            raise SourceError(f"{name_source(self._uri)} cannot be read: {reason}") from None
        return task.value

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task.value = task.call()
            except BaseException as error:  # raised again in the caller
                task.error = error
            with self._changed:
                task.done = True
                self._changed.notify_all()
        self._let_go()

    def _next(self) -> _Task | None:
        """Take the next call that somebody still waits for."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._tasks)
                task = self._tasks.popleft()
                if task is None or not task.left:
                    return task

    def _let_go(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.release()


def has_left_behind() -> bool:
    """Tell whether a call that nobody waits for any more has still not returned."""
    return any(thread.name == _THREAD for thread in threading.enumerate())
