from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeseg
from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.demo.splits import LIVE_SEED
from edgeseg.errors import BackendError, SourceError
from edgeseg.pixels import Frame, Output
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.live.channel import Channel
from edgeseg.runtime.live.durations import Durations
from edgeseg.runtime.live.pipeline import STAGES, run, stream
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source, open_source


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
    with open_source("demo") as source, stream(segmenter, source) as results:
        result = next(iter(results))
    expected = segmenter.segment(draw_scene(LIVE_SEED, 0).image).mask
    np.testing.assert_array_equal(result.mask, expected)
    assert len(np.unique(expected)) > 1  # the seeded model sees more than one class


def frames(count: int, *, pause_s: float = 0.0) -> Iterator[Captured]:
    for index in range(count):
        time.sleep(pause_s)
        image = draw_scene(index, 0, height=48, width=64).image
        now = time.perf_counter()
        yield Captured(index=index, name=str(index), time_s=now, at=now, image=image)


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

    assert run(segmenter, source, [], on_frame=third, stop=stop).frames == 3


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


@pytest.mark.parametrize(
    ("frame", "got"),
    [
        (None, "NoneType"),
        ("x.png", "str"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4), np.uint8), r"uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \(0, 4, 3\)"),
    ],
)
def test_what_is_no_frame_is_refused(segmenter: Segmenter, frame: object, got: str) -> None:
    with pytest.raises(SourceError, match=rf"a frame is uint8 BGR .*; got {got}"):
        segmenter.segment(frame)


def test_the_examples_can_be_pasted(capsys: pytest.CaptureFixture) -> None:
    """Those of the package and of the guide are one, and it runs."""
    shown = str(edgeseg.__doc__).partition("import edgeseg")[2].rstrip()
    guide = (Path(__file__).parents[3] / "docs" / "runtime.md").read_text("utf-8")
    assert shown in guide
    code = "import edgeseg" + shown
    for told, here in {
        '"street"': "folder",
        '"drive.mp4"': '"demo"',
        'data="camvid", split="test"': 'data="demo"',
        "mask.shape)\n": "mask.shape)\n        break\n",
    }.items():
        assert told in code
        code = code.replace(told, here)
    folder = Path(edgeseg.__file__).parent / "data" / "demo_bundle"
    names = {"folder": folder, "frame": draw_scene(2, 0, height=48, width=64).image}
    exec(code, names)  # our own example
    assert capsys.readouterr().out == "0 (480, 640)\n"
    assert names["report"].gates


def test_nothing_is_told_to_the_engines_maker(seeded_bundle: Bundle, tmp_path: Path) -> None:
    """ONNX Runtime would leave an identity and a queue of events in the user's cache."""
    code = f"import edgeseg; s = edgeseg.open({str(seeded_bundle.folder)!r}); s.close()"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]


def test_the_python_interface(seeded_bundle: Bundle) -> None:
    frame = draw_scene(2, 0, height=48, width=64).image
    with edgeseg.open(str(seeded_bundle.folder)) as segmenter:
        assert segmenter.segment(frame).mask.shape == (48, 64)
        results = segmenter.stream("demo")
        assert [next(results).captured.index for _ in range(3)] == [0, 1, 2]
        results.close()


def test_a_frame_of_any_size_is_segmented_at_its_own(segmenter: Segmenter) -> None:
    for size in ((33, 47), (96, 128), (700, 500)):
        frame = draw_scene(2, 0, height=size[0], width=size[1]).image
        assert segmenter.segment(frame).mask.shape == size
