"""A calibration set is there whole, or not at all, whenever Ctrl-C comes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edgeseg.calibration.folder import new_folder
from edgeseg.demo import draw_scene
from edgeseg.errors import SourceError


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(8):
        cv2.imwrite(str(folder / f"{index}.png"), draw_scene(index, 0, height=48, width=64).image)
    return folder


# Ctrl-C while a frame is described: frames are, when they come, and again to be chosen. The command
# has a process of its own, for a signal that comes too late would end the tests'.
_INTERRUPTED = """
import signal, sys
from edgeseg.calibration import sets
from edgeseg.cli.main import main

described = []
describe = sets.describe
calls = set(map(int, sys.argv.pop(1).split(",")))

def interrupt(frame):
    described.append(1)
    if len(described) in calls:
        signal.raise_signal(signal.SIGINT)
    return describe(frame)

sets.describe = interrupt
main()
"""


def calibrate_interrupted(frames: Path, *calls: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _INTERRUPTED, ",".join(map(str, calls))]
    return subprocess.run(
        [*command, "calibrate", frames, "-o", "c"],
        cwd=frames.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize(("call", "seen"), [(3, 3), (8, 8), (11, 8)])
def test_ctrl_c_ends_the_watching_and_what_was_seen_is_chosen_from(
    frames: Path, call: int, seen: int
) -> None:
    result = calibrate_interrupted(frames, call)
    assert result.returncode == 0
    assert f"written: c, {seen} images" in result.stderr
    assert len(list((frames.parent / "c").iterdir())) == seen
    assert sorted(path.name for path in frames.parent.iterdir()) == ["c", "frames"]


def test_a_working_name_that_somebody_has_is_left(edgeseg, frames: Path) -> None:
    mine = frames.with_name("c.partial") / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("years of work\n")
    outcome = edgeseg("calibrate", frames, "-o", "c")
    assert outcome.status == 1
    assert "c.partial exists and does not say that edgeseg wrote it" in outcome.err
    assert mine.exists()


def test_a_second_ctrl_c_leaves_nothing(frames: Path) -> None:
    result = calibrate_interrupted(frames, 3, 5)
    assert result.returncode == 128 + signal.SIGINT
    assert [path.name for path in frames.parent.iterdir()] == ["frames"]


def test_a_mount_point_is_filled(edgeseg, frames: Path, small_disk: Path) -> None:
    outcome = edgeseg("calibrate", frames, "-o", small_disk)
    assert outcome.status == 0, outcome.err
    assert all(path.suffix == ".png" for path in small_disk.iterdir())
    assert len(list(small_disk.iterdir())) > 0


def test_what_cannot_be_moved_in_the_end_stays(tmp_path: Path) -> None:
    with (
        pytest.raises(SourceError, match=f"what there is stays in {tmp_path}/c.partial"),
        new_folder(tmp_path / "c", "demo", say=print) as partial,
    ):
        (partial / "1.png").write_bytes(b"x")
        (tmp_path / "c").write_text("mine")
    assert (tmp_path / "c.partial" / "1.png").exists()
