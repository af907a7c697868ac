"""Sources and sinks that tell what they saw."""

from __future__ import annotations

import time
from collections.abc import Iterator

from edgeseg.demo import draw_scene
from edgeseg.runtime.result import Result
from edgeseg.runtime.sources import Captured


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.indices: list[int] = []
        self.shapes: list[tuple[int, ...]] = []

    def write(self, result: Result, /) -> None:
        self.indices.append(result.captured.index)
        self.shapes.append(result.mask.shape)

    def finish(self) -> None:
        pass

    def discard(self) -> None:
        pass


def frames(count: int, *, pause_s: float = 0.0) -> Iterator[Captured]:
    for index in range(count):
        time.sleep(pause_s)
        image = draw_scene(index, 0, height=48, width=64).image
        now = time.perf_counter()
        yield Captured(index=index, name=str(index), time_s=now, at=now, image=image)
