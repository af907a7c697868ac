"""No more frames than a rate asks for, evenly, and none that waited too long."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import web
from hypothesis import given
from hypothesis import strategies as st
from live_parts import Recorder, frames

from edgeseg.bundle.store import Bundle
from edgeseg.errors import SpecError
from edgeseg.progress import ignore
from edgeseg.runtime.events import Event
from edgeseg.runtime.live.feed import Feed, give_young
from edgeseg.runtime.live.pace import AgeLimit, Pace, Thinner
from edgeseg.runtime.live.rate_watch import RateWatch
from edgeseg.runtime.live.run import Fed, Limits, run, run_all
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source

if TYPE_CHECKING:
    from outcome import Outcome


def thin(times: list[float], fps: float | None) -> list[int]:
    thinner = Thinner(fps)
    return [index for index, time_s in enumerate(times) if thinner.takes(time_s)]


def timed(count: int, rate: float) -> Iterator[Captured]:
    return (replace(one, time_s=one.index / rate) for one in frames(count))


RATES = st.floats(0.5, 240)


@pytest.mark.parametrize(
    ("rate", "fps", "taken"),
    [
        (30, 10, [0, 3, 6, 9, 12]),
        (25, 10, [0, 2, 5, 7, 10, 12]),
        (30, 20, [0, 1, 3, 4, 6, 7, 9, 10, 12]),
        (30, 30, list(range(13))),
        (10, 30, list(range(13))),
        (10, None, list(range(13))),
    ],
)
def test_a_steady_source_is_thinned_evenly(
    rate: float, fps: float | None, taken: list[int]
) -> None:
    assert thin([index / rate for index in range(13)], fps) == taken


@given(RATES, st.floats(0.01, 1), st.floats(0, 1e6))
def test_gaps_differ_by_at_most_one_frame(rate: float, part: float, start: float) -> None:
    times = [start + index / rate for index in range(400)]
    fps = part * rate
    taken = thin(times, fps)
    gaps = {after - before for before, after in itertools.pairwise(taken)}
    assert max(gaps, default=0) - min(gaps, default=0) <= 1
    seconds = times[-1] - times[0]
    assert fps * seconds - 1.5 <= len(taken) <= fps * seconds + 1.5


@given(st.lists(st.floats(0, 3), max_size=200), st.floats(0.1, 100))
def test_never_more_than_the_rate_on_average(gaps: list[float], fps: float) -> None:
    times = [0.0, *itertools.accumulate(gaps)]
    taken = [times[index] for index in thin(times, fps)]
    for first, last in itertools.combinations(range(len(taken)), 2):
        assert last - first + 1 <= fps * (taken[last] - taken[first]) + 2.5 + 1e-3


@given(st.floats(0.1, 100), st.lists(st.floats(1, 50), max_size=100))
def test_a_slower_source_loses_nothing(fps: float, periods: list[float]) -> None:
    times = [0.0, *itertools.accumulate(period / fps for period in periods)]
    assert len(thin(times, fps)) == len(times)


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=200))
def test_jitter_at_the_very_rate_skips_nothing(jitter: list[float]) -> None:
    """A camera of 30 a second with `--fps 30` gives all its frames."""
    times = [(index + off) / 30 for index, off in enumerate(jitter)]
    assert len(thin(times, 30)) == len(times)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "10"])
@pytest.mark.parametrize(("field", "option"), [("fps", "--fps"), ("max_age_ms", "--max-age")])
def test_a_pace_is_above_zero(field: str, option: str, value: object) -> None:
    with pytest.raises(SpecError, match=f"{option} is a finite number above 0; got"):
        Pace(**{field: value})  # type: ignore[arg-type]


def test_frames_that_waited_too_long_are_refused_and_counted() -> None:
    limit = AgeLimit(100, clock=lambda: 5.0)
    assert not limit.refuses(4.95)
    assert limit.refuses(4.85)
    assert not limit.refuses(4.85, spent_ms=60)  # the engine took the rest of its age
    assert limit.refused == 1
    assert not AgeLimit(None, clock=lambda: 5.0).refuses(0.0)


def test_a_limit_that_lets_nothing_through_is_told_once() -> None:
    now, told = [0.0], list[Event]()
    limit = AgeLimit(50, name="camera 0", tell=told.append, clock=lambda: now[0])
    for second in range(20):
        now[0] = float(second)
        assert limit.refuses(second - 0.08)
    (event,) = told
    assert event.kind == "behind"
    assert "camera 0: no frame for 5 s" in event.text
    assert "the 50 ms of --max-age (the newest 80 ms)" in event.text
    limit.note_result()
    for second in range(20, 24):
        now[0] = float(second)
        limit.refuses(second - 0.08)
    assert len(told) == 1


def watch(rates: list[tuple[float, float]], fps: float) -> list[Event]:
    """Watch results at each rate for some seconds; frames beyond it are dropped up to `fps`."""
    watcher, now, dropped, told = RateWatch("cam", fps), 0.0, 0.0, []
    for seconds, rate in rates:
        for _ in range(round(seconds * rate)):
            now += 1 / rate
            dropped += fps / rate - 1
            told.append(watcher.see(now, int(dropped)))
    return [event for event in told if event is not None]


def test_a_missed_rate_is_told_once_with_what_is_reached_and_when_it_is_back() -> None:
    behind, held = watch([(20, 10), (20, 4), (20, 10)], 10)
    assert (behind.kind, held.kind) == ("behind", "held")
    assert behind.text.startswith("cam: ")
    assert "frames a second, not the 10 of --fps: this machine drops the others" in behind.text
    assert held.text == "cam: 10 frames a second again"


def test_a_source_that_gives_less_is_told_apart() -> None:
    watcher = RateWatch("cam", 30)
    told = [watcher.see(index / 15, 0) for index in range(300)]
    (event,) = [event for event in told if event is not None]
    assert event.text == "cam: 15.0 frames a second, not the 30 of --fps: the source gives no more"


def test_a_source_that_was_away_did_not_miss_the_rate() -> None:
    watcher = RateWatch("cam", 10)
    times = [index / 10 + (60 if index > 75 else 0) for index in range(200)]
    assert not any(watcher.see(time_s, 0) for time_s in times)


def test_a_file_is_thinned_by_its_times_and_counted(segmenter: Segmenter) -> None:
    sink = Recorder()
    source = Source(name="clip", frames=timed(11, 25), fps=25, length=11)
    # A file has no age: its frames wait as long as they must.
    pace = Pace(fps=10, max_age_ms=0.001)
    summary = run(segmenter, source, [sink], pace=pace)
    assert sink.indices == [0, 2, 5, 7, 10]
    assert (summary.frames, summary.skipped, summary.dropped) == (5, 6, 0)


def test_results_that_waited_for_a_slow_output_are_dropped() -> None:
    """The time that the network took is no waiting."""
    (one,) = frames(1)
    mask = np.zeros(one.image.shape[:2], np.uint8)

    def age(computed_ms: float) -> Result:
        part = Segmentation(mask=mask, prepare_ms=0, infer_ms=computed_ms, mask_ms=0)
        old = replace(one, at=time.perf_counter() - 60)
        return Result(captured=old, segmentation=part, grab_ms=0)

    feed = Feed(limit=AgeLimit(10_000))
    waited, computed = age(0), age(59_000)
    assert list(give_young([waited, computed, waited], [feed], on_end=ignore)) == [computed]
    assert feed.dropped == 2


def test_each_source_is_thinned_by_itself(segmenter: Segmenter) -> None:
    sinks = [Recorder(), Recorder()]
    feeds = [
        Fed(source=Source(name=name, frames=timed(12, rate), fps=rate, length=12), sinks=[sink])
        for name, rate, sink in zip("ab", (20.0, 10.0), sinks, strict=True)
    ]
    whole, parts = run_all(segmenter, feeds, limits=Limits(), pace=Pace(fps=10))
    assert [part.skipped for part in parts] == [6, 0]
    assert whole.skipped == 6
    assert sinks[0].indices == [0, 2, 4, 6, 8, 10]
    assert sinks[1].indices == list(range(12))


def test_a_run_that_gave_no_mask_because_all_were_too_old_fails(
    edgeseg: Callable[..., Outcome], seeded_bundle: Bundle
) -> None:
    with web.served(web.jpegs(200, pause_s=0.02)) as port:
        camera = f"http://127.0.0.1:{port}/live"
        command = ("run", seeded_bundle.folder, "--source", camera, "--seconds", "1")
        outcome = edgeseg(*command, "--max-age", "0.001")
    assert outcome.status == 1
    *_, last = outcome.err.splitlines()
    assert re.search(
        r"no frame got a mask: \d+ frames? waited longer than the 0.001 ms of --max-age "
        r"\(the newest [0-9.]+ ms\); allow more, or lower --fps",
        last,
    )
    assert "(the newest 0 ms)" not in last


def test_live_frames_that_are_too_old_reach_no_output(segmenter: Segmenter) -> None:
    """The first frames are as old as they come; the last one is new."""
    sink = Recorder()

    def give() -> Iterator[Captured]:
        for captured in frames(6):
            late = replace(captured, at=captured.at - (60 if captured.index < 5 else -60))
            yield late
            time.sleep(0.02)

    source = Source(name="camera", frames=give(), fps=30, length=None, live=True)
    summary = run(segmenter, source, [sink], pace=Pace(max_age_ms=1000))
    assert sink.indices == [5]
    assert (summary.frames, summary.dropped, summary.skipped) == (1, 5, 0)
