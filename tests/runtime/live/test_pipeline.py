from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_parts import Recorder, frames

from edgeseg.demo import draw_scene
from edgeseg.demo.splits import LIVE_SEED
from edgeseg.runtime.channel import Channel
from edgeseg.runtime.live.durations import Durations
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.live.run import run
from edgeseg.runtime.live.tally import STAGES
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source, open_source


def test_every_frame_reaches_every_sink_in_order(segmenter: Segmenter) -> None:
    first, second = Recorder(), Recorder()
    with open_source("demo") as source:
        summary = run(segmenter, source, [first, second], max_frames=6)
    assert first.indices == second.indices == list(range(6))
    assert set(first.shapes) == {(480, 640)}
    assert (summary.frames, summary.dropped) == (6, 0)
    assert tuple(summary.stages_ms) == STAGES
    # The stages of the segmenter are inside the frame's age; the infer stage dominates both.
    assert 0 < summary.stages_ms["infer"] <= summary.frame_age_ms.p99
    assert summary.latency_ms.p50 <= summary.latency_ms.p95 <= summary.latency_ms.p99


def test_a_limit_in_seconds(segmenter: Segmenter) -> None:
    with open_source("demo") as source:
        assert run(segmenter, source, [], max_seconds=0.0).frames == 1


def test_ctrl_c_ends_a_run_with_its_summary(segmenter: Segmenter) -> None:
    def interrupted(frames: Iterator[Captured]) -> Iterator[Captured]:
        for captured in frames:
            if captured.index == 3:
                raise KeyboardInterrupt
            yield captured

    with open_source("demo") as source:
        cut = Source(name="cut", frames=interrupted(source.frames), fps=10, length=None)
        assert run(segmenter, cut, []).frames == 3


def test_nothing_at_all_is_summed_up_too(segmenter: Segmenter) -> None:
    summary = run(segmenter, Source(name="none", frames=iter(()), fps=10, length=0), [])
    assert (summary.frames, summary.fps) == (0, 0.0)


def test_a_streams_masks_are_the_segmenters(segmenter: Segmenter) -> None:
    with open_source("demo") as source, stream(segmenter, source) as results:
        result = next(iter(results))
    expected = segmenter.segment(draw_scene(LIVE_SEED, 0).image).mask
    np.testing.assert_array_equal(result.mask, expected)
    assert len(np.unique(expected)) > 1  # the seeded model sees more than one class


class Slow(Recorder):
    """Takes its time."""

    def write(self, result: Result, /) -> None:
        super().write(result)
        time.sleep(0.1)


def test_a_file_loses_nothing_however_slow_the_sink(segmenter: Segmenter) -> None:
    sink = Slow()
    source = Source(name="file", frames=frames(12), fps=10, length=12)
    summary = run(segmenter, source, [sink])
    assert sink.indices == list(range(12))
    assert (summary.frames, summary.dropped, summary.failed) == (12, 0, 0)


class TenTimesSlower(Recorder):
    """Its source gives ten frames while it writes one. Notes each one's age, counted in frames."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.ages: list[int] = []
        self.count = count
        self.given, self.allowed = 0, 10
        self.changed = threading.Condition()

    def frames(self) -> Iterator[Captured]:
        for captured in frames(self.count):
            with self.changed:
                assert self.changed.wait_for(lambda: self.given < self.allowed, timeout=60)
                self.given += 1
                self.changed.notify_all()
            yield captured

    def write(self, result: Result, /) -> None:
        super().write(result)
        with self.changed:
            self.ages.append(self.given - result.captured.index)
            self.allowed = min(self.given + 10, self.count)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.given == self.allowed, timeout=60)


def test_a_live_source_gives_its_newest_frame(segmenter: Segmenter) -> None:
    """Old frames go, and none grows old."""
    sink = TenTimesSlower(300)
    source = Source(name="live", frames=sink.frames(), fps=100, length=None, live=True)
    summary = run(segmenter, source, [sink])
    assert summary.dropped + summary.frames == 300
    assert sink.indices == sorted(sink.indices)
    assert sink.indices[-1] == 299
    # Seven frames are on their way at most, at ten frames each; in order the last would be 270 old.
    assert summary.frames < 50
    assert max(sink.ages) <= 80


@given(st.lists(st.floats(0.02, 1e6), min_size=1, max_size=200), st.floats(1, 100))
def test_a_percentile_is_right_to_half_a_percent(values: list[float], percent: float) -> None:
    durations = Durations()
    for value in values:
        durations.add(value)
    exact = float(np.percentile(values, percent, method="inverted_cdf"))
    assert durations.percentile(percent) == pytest.approx(exact, rel=0.006)


def test_no_duration_at_all() -> None:
    assert Durations().percentiles.p99 == 0


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.integers(0, 60), st.booleans(), st.integers(0, 60))
def test_a_channel_hands_on_in_order(size: int, count: int, newest: bool, take: int) -> None:
    channel: Channel[int] = Channel(size, newest=newest)
    given: list[int] = []

    def write() -> None:
        for item in range(count):
            if not channel.put(item):
                break
            given.append(item)
        channel.end()

    writer = threading.Thread(target=write)
    writer.start()
    taken = list(itertools.islice(iter(channel), take))
    channel.close()
    writer.join(timeout=10)
    assert not writer.is_alive()
    assert taken == sorted(set(taken))
    if not newest:
        assert taken == list(range(min(take, count)))
        assert channel.dropped == 0
    elif take > count:
        assert len(taken) + channel.dropped == count
