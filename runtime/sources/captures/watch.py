"""Watches the frames of a source, and tells where their size, their rate or the clock changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from edgeseg.runtime.events import Event, Tell
from edgeseg.runtime.sources.source import Captured

__all__ = ["watch_clock", "watch_rate", "watch_sizes"]

# Frames are counted for this long to find a rate. A change is told once two such windows agree.
_WINDOW_S: Final = 10.0
# A longer gap is a loss, and no rate.
_LONGEST_GAP_S: Final = 1.0
# Networks and drivers vary by less; cameras change to 0.8 times (30 to 25) or less.
_OTHER_RATE: Final = 0.15
# The same rate, in two windows: one frame more or less at 5 frames a second is 2 %.
_SAME_RATE: Final = 0.05
# Time servers move a clock that is right by less.
_JUMP_S: Final = 1.0


def watch_sizes(frames: Iterator[Captured], name: str, tell: Tell) -> Iterator[Captured]:
    """Give the frames of the source `name` as they are, and tell where their size changes."""
    before: tuple[int, ...] | None = None
    for captured in frames:
        size = captured.image.shape[:2]
        if before is not None and size != before:
            text = (
                f"{name}: frames of {size[0]}x{size[1]} (height x width) from frame "
                f"{captured.index} on, {before[0]}x{before[1]} before"
            )
            tell(Event(kind="resized", text=text))
        before = size
        yield captured


def watch_rate(frames: Iterator[Captured], name: str, tell: Tell) -> Iterator[Captured]:
    """Give the frames as they come, and tell where another rate lasts for two windows."""
    told: float | None = None
    last: float | None = None
    begun = before = 0.0
    count = -1  # no window has begun
    for captured in frames:
        if count < 0 or captured.at - before > _LONGEST_GAP_S:
            begun, count, last = captured.at, 0, None
        else:
            count += 1
        before = captured.at
        if before - begun >= _WINDOW_S:
            rate = count / (before - begun)
            if last is not None and abs(rate / last - 1) < _SAME_RATE:
                if told is not None and abs(rate / told - 1) > _OTHER_RATE:
                    text = f"{name}: about {rate:.1f} frames a second now, {told:.1f} before"
                    tell(Event(kind="rate", text=text))
                    told = None
                told = told or rate
            begun, count, last = before, 0, rate
        yield captured


def watch_clock(frames: Iterator[Captured], name: str, tell: Tell) -> Iterator[Captured]:
    """Give the frames as they come, and tell where the machine's clock jumps.

    The frames' `time_s` does not follow: it counts by the system's steady clock.
    """
    before: float | None = None
    for captured in frames:
        ahead = time.time() - time.perf_counter()
        jump = 0.0 if before is None else ahead - before
        if abs(jump) > _JUMP_S:
            text = (
                f"{name}: this machine's clock jumped by {jump:+.1f} s before frame "
                f"{captured.index}; time_s counts on"
            )
            tell(Event(kind="clock", text=text))
        before = ahead
        yield captured
