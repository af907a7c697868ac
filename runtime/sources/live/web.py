"""Reads a video file from a web server as it arrives; gives up on a server that stalls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from edgeseg.errors import SourceError
from edgeseg.runtime.sources.captures.patient import PatientCapture
from edgeseg.runtime.sources.live import stream
from edgeseg.runtime.sources.naming import explain_cannot_open, name_source
from edgeseg.runtime.sources.source import Captured, Source

__all__ = ["make_web_source", "open_web_video"]


@contextmanager
def open_web_video(uri: str, read: Callable[[Any], Source]) -> Iterator[Source]:
    """Open a video and make it a source by `read`; its `stop` ends reading at once.

    Raises:
        SourceError: the video does not open. Later, while iterating: the server stalls.
    """
    capture = PatientCapture(uri, lambda: stream.open_url(uri))
    try:
        if not capture.open():
            raise SourceError(explain_cannot_open(uri, hangs=capture.hangs))
        yield make_web_source(uri, capture, read)
    finally:
        capture.close()


def make_web_source(uri: str, capture: PatientCapture, read: Callable[[Any], Source]) -> Source:
    """Make an opened video a source by `read`; its `stop` ends reading at once."""
    source = read(_Device(uri, capture))
    return replace(source, frames=_yield_until_stopped(source.frames), stop=capture.stop)


class _StoppedError(Exception):
    """Nobody wants more frames."""


class _Device:
    """Stands in for OpenCV's capture in the video reader."""

    def __init__(self, uri: str, capture: PatientCapture) -> None:
        self._uri = uri
        self._capture = capture
        self._count = 0
        self._slow = False

    def read(self) -> tuple[bool, Any]:
        """Read the next frame, or False at the end."""
        begun = time.monotonic()
        image = self._capture.read()
        self._check()
        # FFmpeg reports a timeout like the end of a file. Before that it may give a last picture
        # of the data it has.
        before, self._slow = self._slow, time.monotonic() - begun >= 0.9 * stream.PATIENCE_S
        if image is None and (before or self._slow):
            raise SourceError(
                f"{name_source(self._uri)} stalls: after {self._count} frames nothing came for "
                f"{stream.PATIENCE_S:g} seconds"
            )
        self._count += image is not None
        return image is not None, image

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def ask(*arguments: object) -> Any:  # noqa: ANN401  # what OpenCV's gives
            answer = self._capture.ask(method, *arguments)
            self._check()
            return answer

        return ask

    def _check(self) -> None:
        if self._capture.stopped.is_set():
            raise _StoppedError


def _yield_until_stopped(frames: Iterator[Captured]) -> Iterator[Captured]:
    try:
        yield from frames
    except _StoppedError:
        return
