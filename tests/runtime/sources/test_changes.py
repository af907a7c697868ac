"""What changes midway in a source: the frames go on, and each change is told once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from captures import FakeCapture, in_turn
from clips import write_clip

from edgeseg.errors import SourceError
from edgeseg.runtime.events import Event
from edgeseg.runtime.sources import Captured, open_source
from edgeseg.runtime.sources.captures import watch
from edgeseg.runtime.sources.captures.watch import watch_rate
from edgeseg.runtime.sources.live import device as live
from edgeseg.runtime.sources.options import Retry

NIGHT = np.zeros((3, 4, 3), np.uint8)


@pytest.fixture
def told() -> list[Event]:
    return []


def at(times_s: list[float]) -> Iterator[Captured]:
    for index, seconds in enumerate(times_s):
        yield Captured(index=index, name="x", time_s=seconds, at=seconds, image=NIGHT)


def test_a_camera_that_is_away_for_long_and_comes_back_with_another_size(
    monkeypatch: pytest.MonkeyPatch, told: list[Event]
) -> None:
    monkeypatch.setattr(live, "BACK_OFF_S", (0.0,))
    day, night = FakeCapture(3), FakeCapture(2, picture=NIGHT)
    away = [FakeCapture(0, opens=False)] * 20
    monkeypatch.setattr(cv2, "VideoCapture", in_turn(day, *away, night, *away))
    got = []
    with (
        pytest.raises(SourceError),
        open_source(0, retry=Retry(attempts=21, tell=told.append)) as source,
    ):
        got.extend((captured.index, captured.image.shape[:2]) for captured in source.frames)
    assert got == [(0, (2, 2)), (1, (2, 2)), (2, (2, 2)), (3, (3, 4)), (4, (3, 4))]
    again = ["retry"] * 20
    assert [event.kind for event in told] == ["lost", *again, "back", "resized", "lost", *again]
    assert told[22].text == ("camera 0: frames of 3x4 (height x width) from frame 3 on, 2x2 before")


def paced(*parts: tuple[int, float]) -> list[float]:
    """So many frames at such a rate, one part after the other."""
    gaps = [1 / rate for count, rate in parts for _ in range(count)]
    return list(np.cumsum(gaps))


def test_a_rate_that_changes_is_told_once_each_time(told: list[Event]) -> None:
    times = paced((900, 30), (450, 15), (900, 30))
    assert [one.at for one in watch_rate(at(times), "camera 0", told.append)] == times
    assert [event.text for event in told] == [
        "camera 0: about 15.0 frames a second now, 30.0 before",
        "camera 0: about 30.0 frames a second now, 15.0 before",
    ]


def test_what_is_no_other_rate(told: list[Event]) -> None:
    """Frames that come unevenly, a loss, and some seconds at another rate."""
    uneven = np.array(paced((900, 30))) + np.random.default_rng(0).uniform(0, 0.03, 900)
    lost = [*uneven, *(uneven[-1] + 3600 + np.array(paced((900, 30))))]
    hiccup = [*lost, *(lost[-1] + np.array(paced((90, 15), (900, 30))))]
    assert len(list(watch_rate(at(hiccup), "camera 0", told.append))) == len(hiccup)
    assert told == []


def test_a_clock_that_jumps_moves_no_frame(
    monkeypatch: pytest.MonkeyPatch, told: list[Event]
) -> None:
    """Neither the machine's, set by a time server, nor the time stamps of a stream."""
    steady = watch.time.perf_counter
    ahead = iter([1e9, 1e9, 1e9 + 3600, 1e9 + 3600, 1e9 + 3600.4, 1e9 - 60])
    monkeypatch.setattr(
        watch, "time", SimpleNamespace(time=lambda: steady() + next(ahead), perf_counter=steady)
    )

    class Restarting(FakeCapture):
        stamps_ms = iter([1000.0, 1040.0, 0.0, 40.0, 9e7, 9e7])

        def get(self, prop: int) -> float:
            return next(self.stamps_ms) if prop == cv2.CAP_PROP_POS_MSEC else 0.0

    monkeypatch.setattr(cv2, "VideoCapture", in_turn(Restarting(6)))
    with open_source(0, retry=Retry(tell=told.append)) as source:
        times = [next(source.frames).time_s for _ in range(6)]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] < 10
    assert [event.kind for event in told] == ["clock", "clock"]
    assert told[0].text.startswith("camera 0: this machine's clock jumped by +3600.0 s before ")
    assert "by -3660.4 s before frame 5; time_s counts on" in told[1].text


def test_stamps_of_a_file_that_start_anew(tmp_path: Path, told: list[Event]) -> None:
    """Two recordings of a camera that restarted, joined."""
    halves = [
        write_clip(tmp_path / f"{name}.ts", [0.0, 0.5, 1.0, 1.5, 2.0], options={"bf": "0"})
        for name in ("first", "second")
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(half.read_bytes() for half in halves))
    with open_source(str(joined), retry=Retry(tell=told.append)) as source:
        times = [captured.time_s for captured in source.frames]
    assert times == pytest.approx([index / 2 for index in range(10)], abs=1e-3)
    assert [event.kind for event in told] == ["clock"]
    assert "joined.ts: its time stamps fall from 2.000 to " in told[0].text
