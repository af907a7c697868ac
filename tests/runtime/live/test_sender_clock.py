"""Frames of a stream are thinned by when they were sent, if the stamps of the sender are times."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import pytest
from live_parts import frames
from rtsp import RtspServer

from edgeseg.runtime.live.pace import Pace, SenderClock, Thinner
from edgeseg.runtime.live.run import run
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source, open_source


def count_skipped(stamped: Iterable[tuple[float, float | None]], fps: float) -> int:
    clock, thinner = SenderClock(), Thinner(fps)
    return sum(not thinner.takes(clock.find_time(*times)) for times in stamped)


def send(
    seconds: float, *, rate: float, speed: float = 1.0, held_s: float = 0.0
) -> Iterator[tuple[float, float]]:
    """When frames arrive and how they are stamped: those of the first `held_s` arrive at once."""
    for index in range(round(seconds * rate)):
        yield max(index / rate - held_s, 1e-4 * index), speed * index / rate


def test_a_burst_at_the_start_is_no_rate() -> None:
    burst = list(send(20, rate=10, held_s=2.7))
    assert count_skipped(burst, 11) == 0
    assert count_skipped([(arrived, None) for arrived, _ in burst], 11) >= 25
    # FFmpeg does not know the first frame's time yet.
    assert count_skipped([(0.0, None), *((t + 1e-3, sent) for t, sent in burst)], 11) == 0


def test_a_burst_after_a_stall_is_no_rate() -> None:
    stalled = [(max(at, 8.0) if 5 < at < 8 else at, sent) for at, sent in send(20, rate=10)]
    assert count_skipped(stalled, 11) == 0


def test_a_faster_stream_is_thinned_to_the_rate() -> None:
    steady = list(send(20, rate=30, held_s=2))
    assert len(steady) - count_skipped(steady, 10) == pytest.approx(200, abs=2)


@pytest.mark.parametrize("speed", [25 / 60, 25 / 10, 0.0, 90])
def test_stamps_that_are_no_times_are_not_believed_for_long(speed: float) -> None:
    """As of a server that stamps 25 a second, whatever it sends."""
    rate = 10 if speed > 1 else 60
    sent = list(send(100, rate=rate, speed=speed))
    wanted = 100 * min(rate, 8)
    assert len(sent) - count_skipped(sent, 8) == pytest.approx(wanted, abs=120)
    late = sent[60 * rate :]
    clock, thinner = SenderClock(), Thinner(8)
    taken = [thinner.takes(clock.find_time(*times)) for times in sent][-len(late) :]
    assert sum(taken) == pytest.approx(40 * 8, abs=3)


@pytest.mark.parametrize("pause_s", [0.5, 60])
def test_a_stream_that_is_opened_again_begins_anew(pause_s: float) -> None:
    first = list(send(10, rate=10, held_s=2))
    begin = first[-1][0] + pause_s
    again = [(begin, None), *((begin + 1e-3 + at, sent) for at, sent in first)]
    assert count_skipped([*first, *again], 11) == 0


def test_a_run_loses_none_of_a_burst(segmenter: Segmenter) -> None:
    """A live source may drop frames, which is told apart."""

    def give() -> Iterator[Captured]:
        for index, captured in enumerate(frames(12)):
            yield Captured(
                index=index,
                name=captured.name,
                time_s=1e-4 * index,
                at=captured.at,
                image=captured.image,
                sent_s=index / 10,
            )

    source = Source(name="stream", frames=give(), fps=25, length=None, live=True)
    summary = run(segmenter, source, [], pace=Pace(fps=11))
    assert summary.skipped == 0
    assert summary.frames + summary.dropped == 12


def test_an_rtsp_server_that_holds_frames_ready(has_rtsp: None) -> None:
    with RtspServer() as server, open_source(server.url) as source:
        stamped = [(one.time_s, one.sent_s) for one in itertools.islice(source.frames, 40)]
    assert count_skipped(stamped, 16) == 0  # it sends 15 a second
