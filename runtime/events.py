"""Tells what changes while a run goes on: each event is a line with its time, and is counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from edgeseg.progress import Say, ignore

__all__ = ["KINDS", "Event", "Events", "Kind", "Tell"]

# lost, retry, back: a camera or stream gives no frames, is opened again, and gives frames again.
# moved: a camera's link leads to another device. resized, rate: its frames have another size, or
# come at another rate. clock: time stamps start anew, or the machine's clock jumped. broken: frames
# are skipped, as nobody can make them whole. segment: a recording goes on in another file.
# ended: a source ended, was given up, or was left because all its outputs failed, while others go
# on.
# behind, held: the rate that was asked for is missed, and held again. size: the network's input has
# another size, so that the rate is held.
Kind: TypeAlias = Literal[
    "lost",
    "retry",
    "back",
    "moved",
    "resized",
    "rate",
    "clock",
    "broken",
    "segment",
    "ended",
    "behind",
    "held",
    "size",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that changed. `text` says what happened to a source or an output.

    It names the source, except where only one of several can have the event: the line names it.
    """

    kind: Kind
    text: str

    def to_line(self) -> str:
        """Write the event as a line that begins with the local time now."""
        return f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self.text}"


Tell: TypeAlias = Callable[[Event], None]


class Events:
    """Passes each event to `say` as a line, and counts the kinds. Threads may share it.

    Of several sources, `name` tells whose event it is: their addresses may look the same. `lost`
    says whether the source is lost at this moment, for a while or for good.
    """

    def __init__(self, say: Say = ignore, *, name: str | None = None) -> None:
        self._say = say
        self._name = name
        self._lock = threading.Lock()
        self._counts: Counter[Kind] = Counter()
        self.lost = False

    def tell(self, event: Event, /) -> None:
        """Say and count an event."""
        with self._lock:
            self._counts[event.kind] += 1
            if event.kind in {"lost", "retry", "back"}:
                self.lost = event.kind != "back"
        text = event.text if self._name is None else f"{self._name}: {event.text}"
        self._say(Event(kind=event.kind, text=text).to_line())

    @property
    def counts(self) -> dict[str, int]:
        """How many events of each kind there were; kinds without one are there, too."""
        with self._lock:
            return {kind: self._counts[kind] for kind in KINDS}
