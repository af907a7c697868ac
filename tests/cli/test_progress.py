"""What a user sees of long work: bars on a terminal; in a log a line now and then, or none."""

from __future__ import annotations

import threading
import time

import pytest

from edgeseg.cli import progress as progress_module
from edgeseg.cli.progress import show_progress
from edgeseg.progress import Progress, begin, track


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def _hear_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What is said next; fails where nothing is for long."""
    deadline = time.perf_counter() + 30
    while time.perf_counter() < deadline:
        line = capsys.readouterr().err
        if line:
            return line
        time.sleep(0.01)
    raise AssertionError("nothing was said")


def test_a_phase_that_lasts_names_itself_though_nothing_in_it_advances(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    monkeypatch.setattr(progress_module, "_TICK_S", 0.001)
    with show_progress() as progress:
        begin(progress, "reading the checkpoint")
        clock[0] += 6.0
        assert _hear_line(capsys) == "reading the checkpoint: 0:06 minutes\n"
        step = begin(progress, "calibrating", 40)
        for _ in range(12):
            step()
        clock[0] += 75.0
        assert (
            _hear_line(capsys) == "calibrating: 12 of 40 images in 1:15 minutes, about 2:55 left\n"
        )
        clock[0] += 29.0
        step()
        time.sleep(0.05)
        assert capsys.readouterr().err == ""
        clock[0] += 1.0
        assert (
            _hear_line(capsys) == "calibrating: 13 of 40 images in 1:45 minutes, about 3:38 left\n"
        )


def test_short_phases_say_nothing_and_leave_no_thread(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with show_progress() as progress:
        step = begin(progress, "timing", 2, "variant")
        clock[0] += 4.0
        step()
    assert capsys.readouterr().err == ""
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_a_terminal_sees_the_phase_and_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with show_progress() as progress:
        begin(progress, "reading the checkpoint")
        time.sleep(0.3)  # rich draws ten times a second
        begin(progress, "calibrating", 40)()
        progress.part("corruptions", 3, 75)
        time.sleep(0.3)
    drawn = capsys.readouterr().err
    assert "reading the checkpoint" in drawn
    assert "calibrating: 1 of 40 images" in drawn
    assert "corruptions" in drawn


def test_a_log_counts_what_has_no_known_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    monkeypatch.setattr(progress_module, "_TICK_S", 0.001)
    with show_progress() as progress:
        step = begin(progress, "watching")
        step()
        clock[0] += 75.0
        assert _hear_line(capsys) == "watching: 1 image in 1:15 minutes\n"


def test_a_run_that_may_go_on_for_months_fills_no_log_but_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    monkeypatch.setattr(progress_module, "_TICK_S", 0.001)
    with show_progress(lines=False) as progress:
        step = begin(progress, "segmenting", unit="frame")
        for _ in range(100):
            clock[0] += 60.0
            step()
        time.sleep(0.05)
        progress.say("the camera\nis lost")
    assert capsys.readouterr().err == "the camera is lost\n"


def test_an_item_counts_as_done_when_the_next_is_asked_for() -> None:
    heard: list[tuple[str | int, ...]] = []
    items = track(Progress(phase=lambda *phase: heard.append(phase)), "reading", "ab", "letter")
    assert next(items) == "a"
    assert heard == [("reading", 0, 2, "letter")]
    assert list(items) == ["b"]
    assert heard[1:] == [("reading", 1, 2, "letter"), ("reading", 2, 2, "letter")]


def test_the_time_left_does_not_count_what_an_earlier_run_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    monkeypatch.setattr(progress_module, "_TICK_S", 0.001)
    with show_progress() as progress:
        progress.phase("calibrating", 30, 40, "image")
        progress.phase("calibrating", 32, 40, "image")
        clock[0] += 10.0
        told = "calibrating: 32 of 40 images in 0:10 minutes, about 0:40 left\n"
        assert _hear_line(capsys) == told
