"""Gives the frames of a file when they are due, as a camera would."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from edgeseg.runtime.sources.source import Captured, Source

__all__ = ["hold_back"]

# A pause in a file that is not waited for.
_LONGEST_PAUSE_S: Final = 10.0


def hold_back(source: Source) -> Source:
    """Hold each frame back, in the thread that reads, until it is due by its own time.

    The first frame is due at once. Of a longer pause, ten seconds are kept. A frame that is late,
    because whoever takes them is slow, moves all that follow. A frame's `at` is when it was due, or
    came late.
    """
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        source.stop()

    return replace(source, frames=_hold_back(source.frames, stopped), stop=stop)


def _hold_back(frames: Iterator[Captured], stopped: threading.Event) -> Iterator[Captured]:
    begun: float | None = None
    for captured in frames:
        now = time.perf_counter()
        due = now if begun is None else min(begun + captured.time_s, now + _LONGEST_PAUSE_S)
        if stopped.wait(max(due - now, 0.0)):
            return
        begun = max(due, now) - captured.time_s
        yield replace(captured, at=max(due, now))
