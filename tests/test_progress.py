"""What a long step says where stderr is no terminal: a line now and then, and none of a run."""

from __future__ import annotations

import pytest

from edgeseg import progress as progress_module
from edgeseg.progress import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("total", "of"), [(None, ""), (300, " of 300")])
def test_a_log_hears_of_a_long_step_twice_a_minute(
    capsys: pytest.CaptureFixture[str], clock: list[float], total: int | None, of: str
) -> None:
    with progress("searching", total) as step:
        for _ in range(100):
            clock[0] += 1.0
            step()
    assert capsys.readouterr().err.splitlines() == [
        f"searching: 30{of} images in 0:30 minutes",
        f"searching: 60{of} images in 1:00 minutes",
        f"searching: 90{of} images in 1:30 minutes",
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
