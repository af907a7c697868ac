"""A run tells and saves the frames of a file at the file's own times."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
from clips import B_FRAMES, UNEVEN, duration_s, frame_times, write_clip

from edgeseg.bundle.store import Bundle

MILLISECOND = 1e-3


@pytest.mark.parametrize("options", [{"bf": "0"}, B_FRAMES], ids=["in order", "B-frames"])
def test_a_run_tells_and_saves_the_sources_times(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path, options: dict[str, str]
) -> None:
    """Also the last frame's duration: 1/30 s where frames come in order, a second else."""
    clip = write_clip(tmp_path / "clip.mp4", UNEVEN, options=options)
    run = ("run", seeded_bundle.folder, "--source", clip)
    outcome = edgeseg(*run, "--jsonl", "lines", "--save", "saved.mp4")
    assert outcome.status == 0, outcome.err
    assert "is it whole" not in outcome.err
    told = [json.loads(line)["time_s"] for line in Path("lines").read_text("utf-8").splitlines()]
    assert told == pytest.approx(UNEVEN, abs=MILLISECOND)
    assert told[-1] == 11.0
    saved = Path("saved.mp4")
    assert frame_times(saved) == pytest.approx(UNEVEN, abs=MILLISECOND)
    assert duration_s(saved) == pytest.approx(duration_s(clip), abs=MILLISECOND)
    assert duration_s(saved) >= 11.0


def test_a_long_pause_of_a_file_is_kept(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> None:
    times = [0.0, 0.1, 600.0, 601.0]
    clip = write_clip(tmp_path / "clip.mkv", times)
    outcome = edgeseg("run", seeded_bundle.folder, "--source", clip, "--save", "saved.mp4")
    assert outcome.status == 0, outcome.err
    assert frame_times(Path("saved.mp4")) == pytest.approx(times, abs=MILLISECOND)


def test_a_recording_goes_on_after_a_pause_that_no_video_holds(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", [0.0, 0.1, 90_000.0, 90_000.5])
    outcome = edgeseg("run", seeded_bundle.folder, "--source", clip, "--save", "saved.mp4")
    assert outcome.status == 0
    line = next(line for line in outcome.err.splitlines() if "saved.mp4" in line)
    assert line.partition("saved.mp4 ")[2] == (
        "goes on as saved.002.mp4 from frame 000002 on, 90000.000 s after the first: it is shown "
        "25.0 hours after the frame before it, a video takes pauses of 6"
    )
    assert frame_times(Path("saved.mp4")) == pytest.approx([0, 0.1], abs=MILLISECOND)
    assert frame_times(Path("saved.002.mp4")) == pytest.approx([0, 0.5], abs=MILLISECOND)
    assert outcome.err.count("written: ") == 2


def test_a_pyav_without_the_encoder_is_one_line(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any frame is read."""
    clip = write_clip(tmp_path / "clip.mkv", [0.0, 0.1])
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    run = ("run", seeded_bundle.folder, "--source", clip)
    outcome = edgeseg(*run, "--save", "saved.mp4", "--jsonl", "lines")
    assert outcome.status == 1
    assert "this PyAV was built without libx264; run: pip install" in outcome.err.splitlines()[-1]
    assert not Path("lines").exists()
