"""What a run segments, and with which model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edgeseg.runtime.events import Events
from edgeseg.runtime.legend import Legend

__all__ = ["About"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What outputs need to know of a run: its source and its model.

    When a `live` source is lost, outputs keep what they have. `last_frame_s` tells how long the
    source shows its last frame, in seconds; None where unknown. `name` tells the source from the
    run's others; None where it is the only one. `events` counts what changes midway.
    """

    bundle: str
    engine: str
    precision: str
    source: str
    legend: Legend
    fps: float
    live: bool
    last_frame_s: Callable[[], float | None] = lambda: None
    name: str | None = None
    events: Events = field(default_factory=Events)
