"""Engines and sources that fail, and consumers that stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from live_parts import Recorder, frames

from edgeseg.errors import BackendError, SourceError
from edgeseg.pixels import Frame, Output
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.live.run import Fed, Limits, run, run_all
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source


class Reusing:
    """An engine that gives every result in the same memory, as OpenVINO and TensorRT do."""

    name = "reusing"
    reuses_output = True

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.memory: Output | None = None

    def infer(self, frame: Frame, /) -> Output:
        output = self.inner.infer(frame)
        if self.memory is None:
            self.memory = np.empty_like(output)
        np.copyto(self.memory, output)
        return self.memory

    def close(self) -> None:
        self.inner.close()


def test_masks_do_not_mix_where_an_engine_reuses_its_memory(segmenter: Segmenter) -> None:
    expected = [segmenter.segment(c.image).mask for c in frames(8)]
    segmenter.backend = Reusing(segmenter.backend)
    source = Source(name="file", frames=frames(8), fps=10, length=8)
    with stream(segmenter, source) as results:
        for result, mask in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result.mask, mask)


class Failing(Reusing):
    """An engine that fails on some of its calls."""

    reuses_output = False

    def __init__(self, inner: Backend, failing: set[int]) -> None:
        super().__init__(inner)
        self.failing = failing
        self.calls = 0

    def infer(self, frame: Frame, /) -> Output:
        self.calls += 1
        if self.calls - 1 in self.failing:
            raise BackendError("no kernel today")
        return self.inner.infer(frame)


def test_a_frame_that_the_engine_fails_on_is_skipped_and_counted(segmenter: Segmenter) -> None:
    segmenter.backend = Failing(segmenter.backend, {1, *range(4, 13)})  # never ten in a row
    sink = Recorder()
    source = Source(name="file", frames=frames(16), fps=10, length=16)
    summary = run(segmenter, source, [sink])
    assert sink.indices == [0, 2, 3, 13, 14, 15]
    assert (summary.frames, summary.failed) == (6, 10)


def test_ten_failures_in_a_row_end_it(segmenter: Segmenter) -> None:
    segmenter.backend = Failing(segmenter.backend, set(range(2, 99)))
    sink = Recorder()
    source = Source(name="file", frames=frames(40), fps=10, length=40)
    with pytest.raises(BackendError, match="10 frames in a row failed, the last with: no kernel"):
        run(segmenter, source, [sink])
    assert sink.indices == [0, 1]


def test_a_source_that_breaks_off_gives_what_it_had(segmenter: Segmenter) -> None:
    def broken() -> Iterator[Captured]:
        yield from frames(3)
        raise SourceError("the cable is out")

    sink = Recorder()
    source = Source(name="broken", frames=broken(), fps=10, length=None)
    with pytest.raises(SourceError, match="the cable is out"):
        run(segmenter, source, [sink])
    assert sink.indices == [0, 1, 2]


def test_a_consumer_that_stops_early_leaves_no_thread(segmenter: Segmenter) -> None:
    before = threading.active_count()
    for _ in range(5):
        source = Source(name="file", frames=frames(1000), fps=10, length=1000)
        with stream(segmenter, source) as results:
            assert next(iter(results)).captured.index == 0
    assert threading.active_count() == before


def test_a_stop_ends_after_the_frame_at_hand(segmenter: Segmenter) -> None:
    stop = threading.Event()
    source = Source(name="file", frames=frames(1000), fps=10, length=1000)
    seen: list[int] = []

    def third(result: Result) -> None:
        seen.append(result.captured.index)
        if len(seen) == 3:
            stop.set()

    feeds = [Fed(source=source)]
    whole, _ = run_all(segmenter, feeds, limits=Limits(), on_frame=third, stop=stop)
    assert whole.frames == 3
