"""Turns frames' times into a video's ticks."""

from __future__ import annotations

from typing import Final

__all__ = ["LONGEST_PAUSE_S", "TICKS", "Clock"]

TICKS: Final = 90_000  # a second: MPEG's clock, which all usual frame rates divide
# FFmpeg keeps the distance of two frames in 31 bits (6.6 hours), and is wrong beyond that.
LONGEST_PAUSE_S: Final = 6 * 3600.0
_FRAGMENT_S: Final = 1.0


class Clock:
    """Turns times into ticks that always grow, and decides where fragments begin.

    Ticks count from the first frame: FFmpeg lets each MP4 begin at 0.
    """

    def __init__(self) -> None:
        self._last_tick = -1
        self._begins_s: float | None = None
        self._last_s = 0.0
        self._next_key_s = 0.0
        self._fragments = 0

    def pause_before(self, seconds: float) -> float:
        """Compute how many seconds after the last frame a frame at `seconds` would be shown."""
        return seconds - self._last_s

    def tick(self, seconds: float) -> tuple[int, bool]:
        """Compute a frame's tick, and whether a fragment begins with that frame."""
        if self._begins_s is None:
            self._begins_s = self._next_key_s = seconds
        self._last_s = seconds
        # Two frames may have one time, or times within a tick; a video's ticks must grow.
        self._last_tick = max(self._last_tick + 1, round((seconds - self._begins_s) * TICKS))
        return self._last_tick, seconds >= self._next_key_s

    def take(self, *, begins_fragment: bool) -> None:
        """Count a frame as taken; where a fragment begins, the one before it is written."""
        if begins_fragment:
            self._fragments += 1
            self._next_key_s = self._last_s + _FRAGMENT_S

    @property
    def whole_fragments(self) -> int:
        """How many complete fragments the file holds."""
        return max(0, self._fragments - 1)
