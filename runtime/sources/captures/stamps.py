"""Finds when the frames of a file are shown, by the file's own time stamps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from edgeseg.progress import ignore

__all__ = ["Stamps"]

# A stamp that falls back by less is out of order; one that falls back by more restarts the clock.
_ANEW_S: Final = 1.0
# Two stamps closer than this are equal: a container counts in milliseconds at best.
_SAME_S: Final = 1e-4


class Stamps:
    """Turns a decoder's stamps into seconds from the first frame, which never fall.

    A stamp of 0 after the first frame is not a time. OpenCV gives it for the frames that the
    decoder still holds when the file ends: up to OpenCV 4.6 in every clip with B-frames, later in
    AVI and MPEG-PS. `rest` then gives the times of all frames, where they are known; otherwise the
    last distance between two frames repeats. Raw H.264 has no stamps at all: `untimed` is called
    once, and `guessed` is true. Where the clock restarts, as in joined recordings, time goes on,
    and `restarted` receives the stamps before and after.
    """

    def __init__(
        self,
        *,
        frame_s: float,
        rest: Callable[[], Sequence[float]],
        untimed: Callable[[], None],
        restarted: Callable[[float, float], None] = ignore,
    ) -> None:
        """Start before the first frame; `frame_s` is the usual seconds between two frames."""
        self._rest = rest
        self._untimed = untimed
        self._restarted = restarted
        self._known: Sequence[float] | None = None
        self._first: float | None = None
        self._index = 0
        self._stamp = 0.0
        self._gap = frame_s
        self.last = 0.0
        self.longest_gap = 0.0
        self.guessed = False

    def find_time(self, stamp: float) -> float:
        """Find when the next frame is shown, in seconds, from the decoder's `stamp`."""
        if self._first is None:
            self._first = self._stamp = stamp
            return self.last
        self._index += 1
        if stamp == 0:
            time = self._find_time_without_stamp()
        else:
            if stamp < self._stamp - _ANEW_S:
                self._first = stamp - (self.last + self._gap)
                self._restarted(self._stamp, stamp)
            self._stamp = stamp
            time = max(self.last, stamp - self._first)
        if time > self.last:
            self._gap = time - self.last
            self.longest_gap = max(self.longest_gap, self._gap)
        self.last = time
        return time

    def _find_time_without_stamp(self) -> float:
        if self._known is None:
            self._known = self._rest()
        if self._stamp == 0:  # no stamps at all, or the decoder holds the whole clip
            return self._guess_time()
        later = (time for time in self._known if time > self.last + _SAME_S)
        return min(later, default=self.last + self._gap)

    def _guess_time(self) -> float:
        assert self._known is not None
        if self._index < len(self._known):
            return self._known[self._index]
        if not self.guessed:
            self.guessed = True
            self._untimed()
        return self.last + self._gap
