"""Chooses among input sizes: the largest that holds the rate.

The sizes are rungs, the largest first. A smaller one is taken where frames are dropped for some
time because the network takes too long. A larger one is taken again once its time fits with a
margin. What a size takes now is its time at the start, scaled by how much slower the current size
has become since then: that is known without running the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

__all__ = ["PATIENT", "Ladder", "Move", "Patience"]

# More than this share of dropped frames misses the rate.
_MISSED: Final = 0.1
# A network that is busy for less of the time is not what drops frames: an output is, or a disk.
_BUSY: Final = 0.7
# A size fits where the network would be busy for no more of the time: a margin of 20 %.
_FITS: Final = 1 / 1.2
# The median of so many frames says how slow the machine is now.
_FRAMES: Final = 15
# A source that gives nothing for so long, with nothing dropped, is away, and judges no size.
_PAUSE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds: how long the rate is watched before a verdict, and how long a size stays at least.

    A larger size that fails within `failed_s` is tried again after twice the time, up to
    `longest_s`. One that lasts longer is trusted again.
    """

    watched_s: float = 2.0
    stay_s: float = 5.0
    failed_s: float = 30.0
    longest_s: float = 300.0


PATIENT: Final = Patience()


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A change from one rung to another, and the frames a second that came and were computed."""

    before: int
    after: int
    offered: float
    reached: float


class Ladder:
    """Stands on a rung, and moves as results come. One thread tells it of results."""

    def __init__(
        self, times_ms: Sequence[float], *, rate: float, patience: Patience = PATIENT
    ) -> None:
        """Begin on the largest rung that fits.

        `times_ms` are what the network takes on each rung, measured under the same conditions, and
        `rate` the frames a second that are expected of all sources together.
        """
        self._times_ms = times_ms
        self._patience = patience
        self._slowness: deque[float] = deque(maxlen=_FRAMES)
        self._wait_s = [patience.stay_s] * len(times_ms)
        self.rung = self._find_fit(0, rate)
        self._moved_s: float | None = None
        self._raised = False
        self._begun_s: float | None = None
        self._last_s = 0.0
        self._frames = self._dropped_before = self._last_dropped = 0

    def see(
        self, now_s: float, *, rung: int, dropped: int, took_ms: float | None = None
    ) -> Move | None:
        """See a result at a time of a steady clock, and move if it is time to.

        `dropped` counts the dropped frames so far. `took_ms` is how long the network took; None
        where nothing was computed.
        """
        paused = now_s - self._last_s > _PAUSE_S and dropped == self._last_dropped
        self._last_s, self._last_dropped = now_s, dropped
        if rung != self.rung:  # it was under way before the last move
            return None
        if took_ms is not None:
            self._slowness.append(took_ms / self._times_ms[rung])
        if self._begun_s is None or paused:
            self._begin(now_s, dropped)
            return None
        self._frames += 1
        span_s = now_s - self._begun_s
        if span_s < self._patience.watched_s:
            return None
        lost = dropped - self._dropped_before
        offered, reached = (self._frames + lost) / span_s, self._frames / span_s
        after = self._judge(now_s, offered, missed=lost > _MISSED * (self._frames + lost))
        self._begin(now_s, dropped)
        if after == rung:
            return None
        self.rung, self._moved_s, self._raised = after, now_s, after < rung
        self._begun_s = None
        self._slowness.clear()
        return Move(before=rung, after=after, offered=offered, reached=reached)

    def _begin(self, now_s: float, dropped: int) -> None:
        self._begun_s, self._frames, self._dropped_before = now_s, 0, dropped
        self._moved_s = now_s if self._moved_s is None else self._moved_s

    def _judge(self, now_s: float, rate: float, *, missed: bool) -> int:
        """Decide where to stand."""
        assert self._moved_s is not None, "a span was begun"
        stood_s, rung, patience = now_s - self._moved_s, self.rung, self._patience
        if stood_s > patience.failed_s:
            self._wait_s[rung] = patience.stay_s
        if missed:
            if rung == len(self._times_ms) - 1 or self._compute_load(rung, rate) < _BUSY:
                return rung
            if self._raised and stood_s <= patience.failed_s:
                self._wait_s[rung] = min(2 * self._wait_s[rung], patience.longest_s)
            return self._find_fit(rung + 1, rate)
        above = rung - 1
        if rung and stood_s >= self._wait_s[above] and self._compute_load(above, rate) <= _FITS:
            return above
        return rung

    def _find_fit(self, first: int, rate: float) -> int:
        """Find the largest rung from `first` on that fits; the smallest where none does."""
        rungs = range(first, len(self._times_ms))
        return next((rung for rung in rungs if self._compute_load(rung, rate) <= _FITS), rungs[-1])

    def _compute_load(self, rung: int, rate: float) -> float:
        """Compute for which part of the time a rung would be busy at a rate."""
        slowness = median(self._slowness) if self._slowness else 1.0
        return self._times_ms[rung] * slowness * rate / 1e3
