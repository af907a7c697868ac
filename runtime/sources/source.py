"""What every kind of source gives: frames, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgeseg.labels import Labels
from edgeseg.pixels import Bgr, ClassMap

__all__ = ["Captured", "Source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One frame: `image` is uint8 (H, W, 3), blue first.

    `index` counts frames from 0. `time_s` is in seconds from the source's start, `at` in seconds of
    `time.perf_counter()`. `truth` has the class ids (H, W), where the source knows them.
    """

    index: int
    name: str
    time_s: float
    at: float
    image: Bgr
    truth: ClassMap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An opened source. `frames` can be walked once; `length` is None where nobody knows it.

    A `live` one goes on whether or not its frames are taken, so the newest counts. `stop` may be
    called from another thread: whoever waits for a frame waits no longer.
    `labels` tell what the ids of the frames' `truth` mean; None where they have none.
    `last_frame_s` looks up how long the last frame is shown, in seconds; None where nobody knows.
    """

    name: str
    frames: Iterator[Captured]
    fps: float
    length: int | None
    labels: Labels | None = None
    live: bool = False
    stop: Callable[[], None] = lambda: None
    last_frame_s: Callable[[], float | None] = lambda: None
