"""A calibration set is there whole, or not at all, whenever Ctrl-C comes."""

from __future__ import annotations

import signal
from pathlib import Path

import cv2
import pytest

from edgeseg.calibration import sets
from edgeseg.demo import draw_scene


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(8):
        cv2.imwrite(str(folder / f"{index}.png"), draw_scene(index, 0, height=48, width=64).image)
    return folder


def interrupt_at(monkeypatch: pytest.MonkeyPatch, *calls: int) -> None:
    """Ctrl-C while a frame is described: frames are, when they come, and again to be chosen."""
    described: list[int] = []
    describe = sets.describe

    def interrupted(frame):
        described.append(1)
        if len(described) in calls:
            signal.raise_signal(signal.SIGINT)
        return describe(frame)

    monkeypatch.setattr(sets, "describe", interrupted)


@pytest.mark.parametrize(("call", "seen"), [(3, 3), (8, 8), (11, 8)])
def test_ctrl_c_ends_the_watching_and_what_was_seen_is_chosen_from(
    edgeseg, frames: Path, monkeypatch: pytest.MonkeyPatch, call: int, seen: int
) -> None:
    interrupt_at(monkeypatch, call)
    outcome = edgeseg("calibrate", frames, "-o", "c")
    assert outcome.status == 0
    assert f"written: c, {seen} images" in outcome.err
    assert len(list(Path("c").iterdir())) == seen
    assert sorted(path.name for path in Path().iterdir()) == ["c", "frames"]


def test_a_working_name_that_somebody_has_is_left(edgeseg, frames: Path) -> None:
    mine = frames.with_name("c.partial") / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("years of work\n")
    outcome = edgeseg("calibrate", frames, "-o", "c")
    assert outcome.status == 1
    assert "c.partial exists and does not say that edgeseg wrote it" in outcome.err
    assert mine.exists()


def test_a_second_ctrl_c_leaves_nothing(
    edgeseg, frames: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 3, 5)
    outcome = edgeseg("calibrate", frames, "-o", "c")
    assert outcome.status == 130
    assert [path.name for path in Path().iterdir()] == ["frames"]
