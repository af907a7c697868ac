"""Times working engines on whole frames, two at a time: the fastest so far, and the next.

An engine of a large network takes hundreds of megabytes. So no more than two are open at once,
however many variants a bundle has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.golden import read_golden_frame
from edgeseg.runtime.gpu.lane import Lane
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import alternate

__all__ = ["Entrant", "Race"]

# After so many rounds a race ends early if all times of one engine are above all of the other's:
# for engines of the same speed that comes out so once in 126 races.
_CLEAR: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entrant:
    """An engine that was proved, and the way of whole frames on its device, if it has one."""

    title: str
    backend: Backend
    lane: Lane | None
    resources: ExitStack

    def close(self) -> None:
        """Close the engine."""
        self.resources.close()


class Race:
    """A race of any number of engines, each against the fastest so far.

    `times` are the median milliseconds of a frame, and `faults` say why an engine failed while it
    was timed. All times count from the first engine's: another is so many times as fast. Where the
    fastest fails, the machine is taken to be as fast as in the race before.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._leader: Entrant | None = None
        self._scale = 1.0
        self.times: dict[str, float] = {}
        self.faults: dict[str, str] = {}

    def close(self) -> None:
        """Close the fastest engine, the only one that is still open."""
        if self._leader is not None:
            self._leader.close()

    def admit(self, entrant: Entrant) -> None:
        """Time an engine against the fastest so far, and close the slower of them."""
        leader = self._leader
        if leader is None:
            self._leader = entrant
            return
        with ExitStack() as slower:
            slower.callback(entrant.close)
            self._time([leader, entrant])
            if not self._is_faster(entrant, leader):
                if leader.title in self.faults:  # as the entrant: it did not become faster
                    slower.callback(leader.close)
                    self._leader = None
                return
            slower.pop_all()
            slower.callback(leader.close)
            self._leader = entrant

    def finish(self) -> None:
        """Time an engine that had none to race against."""
        if self._leader is not None and self._leader.title not in self.times:
            self._time([self._leader])

    def _is_faster(self, entrant: Entrant, leader: Entrant) -> bool:
        if entrant.title in self.faults:
            return False
        if leader.title in self.faults:
            return True
        return self.times[entrant.title] < self.times[leader.title]

    def _time(self, entrants: Sequence[Entrant]) -> None:
        found = time_frames(self._bundle, {entrant.title: entrant for entrant in entrants})
        base = entrants[0].title
        now = found[base]
        if not isinstance(now, str):
            self._scale = self.times.get(base, now) / now
        for entrant in entrants:
            milliseconds = found[entrant.title]
            if isinstance(milliseconds, str):
                self.faults[entrant.title] = milliseconds
                self.times.pop(entrant.title, None)
            else:
                self.times[entrant.title] = self._scale * milliseconds


def time_frames(bundle: Bundle, entrants: Mapping[str, Entrant]) -> dict[str, float | str]:
    """Time whole frames through each, in turns; give median ms, or why the engine failed."""
    spec = bundle.manifest.input
    frame = read_golden_frame(bundle)
    faults: dict[str, float | str] = {}

    def segment(name: str) -> None:
        if name not in faults:
            try:
                segment_frame(entrants[name].backend, spec, frame, lane=entrants[name].lane)
            except BackendError as error:
                faults[name] = str(error)

    calls = {name: partial(segment, name) for name in entrants}
    times = alternate(calls, is_clear=_is_clear)
    return {name: float(np.median(row)) for name, row in times.items()} | faults


def _is_clear(times: Mapping[str, Sequence[float]]) -> bool:
    """Tell whether all times of one engine are above all of the other's."""
    rows = list(times.values())
    if len(rows) == 1 or len(rows[0]) < _CLEAR:
        return False
    first, second = rows
    return max(first) < min(second) or max(second) < min(first)
