"""Gives endless frames of a drawn street, with ground truth."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from edgeseg.demo import FPS, draw_scene
from edgeseg.demo.splits import LIVE_SEED
from edgeseg.runtime.sources.source import Captured

__all__ = ["draw_scenes"]


def draw_scenes() -> Iterator[Captured]:
    """Draw every scene of the drive, in order."""
    for index in itertools.count():
        drawn = draw_scene(LIVE_SEED, index)
        yield Captured(
            index=index,
            name=f"{index:06d}",
            time_s=index / FPS,
            at=time.perf_counter(),
            image=drawn.image,
            truth=drawn.mask,
        )
