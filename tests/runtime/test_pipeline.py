from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edgeseg.bundle import Bundle
from edgeseg.demo import scene
from edgeseg.demo.splits import LIVE_SEED
from edgeseg.pixels import ClassMap
from edgeseg.runtime.pipeline import STAGES, run, stream
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source, open_source


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.indices: list[int] = []
        self.shapes: list[tuple[int, ...]] = []

    def write(self, captured: Captured, mask: ClassMap, /) -> None:
        self.indices.append(captured.index)
        self.shapes.append(mask.shape)

    def finish(self) -> None:
        pass

    def discard(self) -> None:
        pass


@pytest.fixture
def segmenter(seeded_bundle: Bundle) -> Iterator[Segmenter]:
    with Segmenter(seeded_bundle) as opened:
        yield opened


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
    with open_source("demo") as source:
        result = next(stream(segmenter, source))
    expected = segmenter.segment(scene(LIVE_SEED, 0).image).mask
    np.testing.assert_array_equal(result.mask, expected)
    assert len(np.unique(expected)) > 1  # the seeded model sees more than one class


def test_a_frame_of_any_size_is_segmented_at_its_own(segmenter: Segmenter) -> None:
    for size in ((33, 47), (96, 128), (700, 500)):
        frame = scene(2, 0, height=size[0], width=size[1]).image
        assert segmenter.segment(frame).mask.shape == size
