"""The settings requested of a camera, and how often a lost source is opened again."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.progress import Say, ignore
from edgeseg.runtime.events import Event, Tell

__all__ = ["CameraOptions", "Retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOptions:
    """Settings requested of a camera, in pixels and frames a second; the camera may differ."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a lost source is opened again, and who receives the messages.

    `attempts` counts attempts without a frame in between; None means without a limit. A number also
    holds at the start; with None the source must be there at the start. With `wait`, a source that
    is not there at the start is waited for as a lost one is. `tell` receives what changes midway;
    without it, `say` receives a line for each.
    """

    attempts: int | None = 0
    say: Say = ignore
    wait: bool = False
    tell: Tell | None = None

    def report(self, event: Event, /) -> None:
        """Report a change midway."""
        if self.tell is None:
            self.say(event.to_line())
        else:
            self.tell(event)
