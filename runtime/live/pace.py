"""Takes no more frames than a rate asks for, evenly, and drops frames that waited too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edgeseg.progress import ignore
from edgeseg.runtime.events import Event, Tell
from edgeseg.spec import check_above_zero
from edgeseg.text import pluralize

__all__ = ["FREE", "AgeLimit", "Pace", "SenderClock", "Thinner"]

# Of the gap between a source's frames, each new one counts by this part: cameras jitter.
_NEW_PART: Final = 1 / 8
# Times are sums of floats; a millionth of a second decides nothing.
_SAME_S: Final = 1e-6
# A sender's clock may lead or lag by so much, as frames wait in queues; what strays more is none.
_ASTRAY_S: Final = 10.0
# A clock that runs a little fast or slow is believed: what it strays by is forgotten in this time.
_FORGET_S: Final = 60.0
# What lies between a frame without a time, at the very start, and the next one.
_UNKNOWN_S: Final = 1.0
# After so long without a frame that was young enough, somebody must know.
_BARREN_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How many frames a second each source gives at most, and how old a live frame may grow.

    None is no limit.

    Raises:
        SpecError: a number is not above 0.
    """

    fps: float | None = None
    max_age_ms: float | None = None

    def __post_init__(self) -> None:
        for option, value in (("--fps", self.fps), ("--max-age", self.max_age_ms)):
            check_above_zero(option, value)


FREE: Final = Pace()


class Thinner:
    """Takes frames at a rate at most, evenly by their times.

    Of a steady source that is faster, the gaps between taken frames differ by one frame at most.
    A source whose gaps are all as long as the rate's, or longer, loses no frame. Over n seconds at
    most `fps` * n + 2.5 frames are taken, however they bunch.
    """

    def __init__(self, fps: float | None) -> None:
        """Take `fps` frames a second; None takes all."""
        self._period_s = None if fps is None else 1 / fps
        self._due_s: float | None = None
        self._last_s = 0.0
        self._gap_s: float | None = None

    def takes(self, time_s: float) -> bool:
        """Decide about the next frame, by its time; times never fall."""
        period_s = self._period_s
        if period_s is None:
            return True
        if self._due_s is None:
            self._last_s, self._due_s = time_s, time_s + period_s
            return True
        self._learn(time_s - self._last_s)
        self._last_s = time_s
        # The frame that is nearest to the due time is taken: half a gap before it, or after it.
        early_s = min(self._gap_s or 0.0, period_s) / 2
        if time_s < self._due_s - early_s - _SAME_S:
            return False
        # What a slow source left out is not made up for, but for one frame that came late.
        self._due_s = max(self._due_s, time_s - period_s) + period_s
        return True

    def _learn(self, gap_s: float) -> None:
        known_s = gap_s if self._gap_s is None else self._gap_s
        self._gap_s = known_s + _NEW_PART * (gap_s - known_s)


class SenderClock:
    """Tells when frames were sent, so that those that arrive in a burst are not taken for many.

    Its times advance as the sender's time stamps do, or as frames arrive where there are none, or
    where the stamps run at another speed than the clock here.
    """

    def __init__(self) -> None:
        self._now_s = self._last_s = 0.0
        self._sent_s: float | None = None
        self._ahead_s = 0.0
        self._astray = False

    def find_time(self, time_s: float, sent_s: float | None) -> float:
        """Find a frame's time in seconds, which never falls, from its arrival and its stamp."""
        arrived_s = max(time_s - self._last_s, 0.0)
        before, self._last_s, self._sent_s = self._sent_s, time_s, sent_s
        if before is None and sent_s is not None and sent_s < _SAME_S:
            self._now_s += max(arrived_s, _UNKNOWN_S)
            return self._now_s
        step_s = None if before is None or sent_s is None else sent_s - before
        # Stamps begin anew when a stream is opened again.
        anew = step_s is None or step_s < 0 or abs(step_s - arrived_s) > _ASTRAY_S
        if step_s is not None and not anew:
            kept = max(0.0, 1 - arrived_s / _FORGET_S)
            self._ahead_s = self._ahead_s * kept + step_s - arrived_s
            self._astray = self._astray or abs(self._ahead_s) > _ASTRAY_S
        self._now_s += arrived_s if step_s is None or anew or self._astray else step_s
        return self._now_s


class AgeLimit:
    """Refuses frames of one source that waited too long, and counts them. Threads may share it."""

    def __init__(
        self,
        max_age_ms: float | None = None,
        *,
        name: str = "",
        tell: Tell = ignore,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Refuse frames older than `max_age_ms`, or none; `tell` hears if no frame is younger."""
        self._max_age_ms = max_age_ms
        self._name = name
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._barren_s: float | None = None  # since when no frame came through
        self._told = False
        self._waited_ms = 0.0  # of the last one that was refused
        self.refused = 0

    def refuses(self, at: float, *, spent_ms: float = 0.0) -> bool:
        """Whether a frame, captured `at`, waited too long; computing took `spent_ms` of its age."""
        if self._max_age_ms is None:
            return False
        now = self._clock()
        waited_ms = 1e3 * (now - at) - spent_ms
        if waited_ms <= self._max_age_ms:
            return False
        with self._lock:
            self.refused += 1
            self._waited_ms = waited_ms
            begun_s = self._barren_s = now if self._barren_s is None else self._barren_s
            tells = now - begun_s >= _BARREN_S and not self._told
            self._told = self._told or tells
        if tells:
            text = (
                f"{self._name}: no frame for {_BARREN_S:g} s, as all waited longer than the "
                f"{self._describe(waited_ms)}"
            )
            self._tell(Event(kind="behind", text=text))
        return True

    def explain(self) -> str:
        """Explain that all frames were refused."""
        count = pluralize(self.refused, "frame")
        return f"{count} waited longer than the {self._describe(self._waited_ms)}"

    def _describe(self, waited_ms: float) -> str:
        waited = f"{waited_ms:.0f}" if waited_ms >= 10 else f"{waited_ms:.2g}"
        return (
            f"{self._max_age_ms:g} ms of --max-age (the newest {waited} ms); allow more, or lower "
            f"--fps"
        )

    def note_result(self) -> None:
        """Note that a frame came through in time."""
        with self._lock:
            self._barren_s, self._told = None, False
