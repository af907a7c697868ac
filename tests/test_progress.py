"""What a long step says where stderr is no terminal: a line now and then, and none of a run."""

from __future__ import annotations

import threading
import time

import pytest

from edgeseg import progress as progress_module
from edgeseg.progress import begin, progress, steps


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("total", "of"), [(None, ""), (300, " of 300")])
def test_a_log_hears_soon_of_a_long_step_and_then_twice_a_minute(
    capsys: pytest.CaptureFixture[str], clock: list[float], total: int | None, of: str
) -> None:
    with progress("searching", total) as step:
        for _ in range(100):
            clock[0] += 1.0
            step()
    assert capsys.readouterr().err.splitlines() == [
        f"searching: 5{of} images in 0:05 minutes",
        f"searching: 35{of} images in 0:35 minutes",
        f"searching: 65{of} images in 1:05 minutes",
        f"searching: 95{of} images in 1:35 minutes",
    ]


@pytest.mark.parametrize(("total", "of"), [(None, "1 image"), (1, "1 of 1 image")])
def test_one_image_is_no_plural(
    capsys: pytest.CaptureFixture[str], clock: list[float], total: int | None, of: str
) -> None:
    with progress("searching", total) as step:
        clock[0] += 75.0
        step()
    assert capsys.readouterr().err == f"searching: {of} in 1:15 minutes\n"


def test_a_run_that_may_go_on_for_months_fills_no_log(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with progress("segmenting", None, lines=False) as step:
        for _ in range(100):
            clock[0] += 60.0
            step()
    assert capsys.readouterr().err == ""


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
    with steps() as step:
        begin(step, "reading the checkpoint")
        clock[0] += 6.0
        assert _hear_line(capsys) == "reading the checkpoint: 0:06 minutes\n"
        advance = begin(step, "calibrating", 40)
        for _ in range(12):
            advance()
        clock[0] += 75.0
        assert _hear_line(capsys) == "calibrating: 12 of 40 images in 1:15 minutes\n"
        clock[0] += 29.0
        advance()
        time.sleep(0.05)
        assert capsys.readouterr().err == ""
        clock[0] += 1.0
        assert _hear_line(capsys) == "calibrating: 13 of 40 images in 1:45 minutes\n"


def test_short_phases_say_nothing_and_leave_no_thread(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with steps() as step:
        advance = begin(step, "timing", 2, "variant")
        clock[0] += 4.0
        advance()
    assert capsys.readouterr().err == ""
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_a_terminal_sees_the_phase_and_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with steps() as step:
        begin(step, "reading the checkpoint")
        time.sleep(0.3)  # rich draws ten times a second
        begin(step, "calibrating", 40)()
        time.sleep(0.3)
    drawn = capsys.readouterr().err
    assert "reading the checkpoint" in drawn
    assert "calibrating: 1 of 40 images" in drawn
