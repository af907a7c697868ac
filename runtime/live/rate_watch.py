"""Watches whether a live source's results come at the rate that was asked for."""

from __future__ import annotations

from typing import Final

from edgeseg.runtime.events import Event

__all__ = ["RateWatch"]

# The rate is judged over so many seconds, or a few frames of a very slow one.
_SPAN_S: Final = 5.0
_FEWEST: Final = 5
# Below this part of the rate it is missed; above the other it is held again.
_MISSED, _HELD = 0.9, 0.95
# A pause without a dropped frame is the source's: it gave none.
_PAUSE_S: Final = 2.0


class RateWatch:
    """Tells once where the rate is not held, and once when it is held again."""

    def __init__(self, name: str, fps: float) -> None:
        self._name = name
        self._fps = fps
        self._begun_s: float | None = None
        self._frames = 0
        self._last_s = 0.0
        self._last_dropped = self._dropped_before = 0
        self._behind = False

    def see(self, now_s: float, dropped: int) -> Event | None:
        """See a result at a time of a steady clock, and the source's dropped frames so far."""
        last_s, last_dropped = self._last_s, self._last_dropped
        self._last_s, self._last_dropped = now_s, dropped
        longest_s = max(_PAUSE_S, 2 / self._fps)
        paused = now_s - last_s > longest_s and dropped == last_dropped
        if self._begun_s is None or paused:
            self._begin(now_s, dropped)
            return None
        self._frames += 1
        span_s = now_s - self._begun_s
        if span_s < max(_SPAN_S, _FEWEST / self._fps):
            return None
        event = self._judge(self._frames / span_s, dropping=dropped > self._dropped_before)
        self._begin(now_s, dropped)
        return event

    def _begin(self, now_s: float, dropped: int) -> None:
        self._begun_s, self._frames, self._dropped_before = now_s, 0, dropped

    def _judge(self, reached: float, *, dropping: bool) -> Event | None:
        if not self._behind and reached < _MISSED * self._fps:
            self._behind = True
            why = "this machine drops the others" if dropping else "the source gives no more"
            text = f"{reached:.1f} frames a second, not the {self._fps:g} of --fps: {why}"
            return Event(kind="behind", text=f"{self._name}: {text}")
        if self._behind and reached >= _HELD * self._fps:
            self._behind = False
            return Event(kind="held", text=f"{self._name}: {self._fps:g} frames a second again")
        return None
