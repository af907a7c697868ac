"""What a run segments, and by what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgeseg.labels import Labels

__all__ = ["About"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is segmented by what. Outputs of a `live` source keep what they have when it is lost.

    `last_frame_s` tells how long the source shows its last frame, where somebody knows.
    """

    bundle: str
    engine: str
    precision: str
    source: str
    labels: Labels
    fps: float
    live: bool
    last_frame_s: Callable[[], float | None] = lambda: None
