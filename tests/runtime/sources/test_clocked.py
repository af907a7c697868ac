"""A file whose frames come when they are due."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from edgeseg.demo import draw_scene
from edgeseg.runtime.sources import Captured, Source
from edgeseg.runtime.sources.files.clocked import hold_back


def make_file(*times_s: float) -> Source:
    image = draw_scene(1, 0, height=48, width=64).image

    def give() -> Iterator[Captured]:
        for index, time_s in enumerate(times_s):
            yield Captured(index=index, name=str(index), time_s=time_s, at=0.0, image=image)

    return Source(name="file", frames=give(), fps=10, length=len(times_s))


def test_no_frame_comes_before_it_is_due() -> None:
    times_s = (3.0, 3.1, 3.3, 3.35)  # a clip may begin late
    taken = [(captured.time_s, captured.at) for captured in hold_back(make_file(*times_s)).frames]
    assert [time_s for time_s, _ in taken] == list(times_s)
    first_s, first_at = taken[0]
    for time_s, at in taken:
        assert at - first_at >= time_s - first_s - 0.02


def test_a_late_frame_moves_those_that_follow() -> None:
    frames = hold_back(make_file(0.0, 0.1, 0.2)).frames
    next(frames)
    time.sleep(0.3)
    second, third = next(frames), next(frames)
    assert third.at - second.at >= 0.08


def test_a_stop_ends_the_wait() -> None:
    source = hold_back(make_file(0.0, 9.0))
    threading.Timer(0.05, source.stop).start()
    begun = time.monotonic()
    assert [captured.index for captured in source.frames] == [0]
    assert time.monotonic() - begun < 8
