"""Frames, and what is known of their source: the same for every kind of source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeseg.labels import Labels
from edgeseg.pixels import Bgr, ClassMap

__all__ = ["Captured", "Source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One frame: `image` is uint8 BGR (H, W, 3).

    `index` counts frames from 0. `time_s` is in seconds from the source's start, `at` in seconds of
    `time.perf_counter()`. `wall_s` is the clock's time of capture, in seconds since 1970 (UTC), as
    `time.time()` gives it; None for files, which say nothing of it. `sent_s` is the time of a
    stream's frame by its sender's stamps, in seconds from the first stamp; None where there is
    none. `truth` has the class ids (H, W), where the source knows them. `path` is the frame's own
    file, if it has one.
    """

    index: int
    name: str
    time_s: float
    at: float
    image: Bgr
    wall_s: float | None = None
    sent_s: float | None = None
    truth: ClassMap | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An opened source. `frames` can be iterated once; `length` is None where unknown.

    A `live` source goes on whether or not its frames are taken, so the newest frame counts. Another
    thread may call `stop`, which ends the wait for a frame. `labels` give the meaning of the ids in
    the frames' `truth`; None where there is no truth. `last_frame_s` looks up how long the last
    frame is shown, in seconds; None where unknown. `absent` says why there is no frame yet, where
    somebody waits for the source.
    """

    name: str
    frames: Iterator[Captured]
    fps: float
    length: int | None
    labels: Labels | None = None
    live: bool = False
    stop: Callable[[], None] = lambda: None
    last_frame_s: Callable[[], float | None] = lambda: None
    absent: str | None = None
