"""Frames of a file carry the file's own times, whatever its container and however uneven."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
from clips import B_FRAMES, duration_s, frame_times, write_clip, write_stamped

from edgeseg.bundle import Bundle
from edgeseg.runtime.live import Retry
from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.stamps import Stamps

MILLISECOND = 1e-3
# Thirty frames in the first second, then one a second, as a phone's or a dash camera's clip.
UNEVEN = [index / 30 for index in range(30)] + [float(second) for second in range(2, 12)]
# As of AVI, which knows no other times than multiples of its frame.
SLOTS = [index / 30 for index in (0, 1, 2, 3, 10, 11, 30, 60, 61)]


def times_of(path: Path, said: list[str] | None = None) -> list[float]:
    retry = Retry(tell=(said if said is not None else []).append)
    with open_source(str(path), retry=retry) as source:
        return [captured.time_s for captured in source.frames]


@pytest.mark.parametrize("options", [{"bf": "0"}, B_FRAMES], ids=["in order", "B-frames"])
@pytest.mark.parametrize("start", [0.0, 5.0])
@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "ts"])
def test_times_are_the_containers(
    tmp_path: Path, ending: str, start: float, options: dict[str, str]
) -> None:
    shown = [start + seconds for seconds in UNEVEN]
    clip = write_clip(tmp_path / f"clip.{ending}", shown, options=options)
    assert times_of(clip) == pytest.approx(UNEVEN, abs=MILLISECOND)
    assert times_of(clip) == pytest.approx(frame_times(clip), abs=MILLISECOND)


def test_an_animated_picture_has_its_own_times(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.gif", UNEVEN, codec="gif", pix_fmt="rgb8")
    assert times_of(clip) == pytest.approx(frame_times(clip), abs=MILLISECOND)


@pytest.mark.parametrize("frames_between", ["0", "2"])
def test_dropped_frames_of_an_avi(tmp_path: Path, frames_between: str) -> None:
    """With B-frames, OpenCV tells no time for the last ones, in any version."""
    options = {"bf": frames_between}
    clip = write_clip(tmp_path / "clip.avi", SLOTS, codec="mpeg4", options=options, ticks=30)
    assert times_of(clip) == pytest.approx(SLOTS, abs=MILLISECOND)


def test_repeated_stamps(tmp_path: Path) -> None:
    stamps = [0, 100, 200, 200, 300, 300, 300, 900, 1000]
    clip = write_stamped(tmp_path / "clip.mkv", stamps)
    assert times_of(clip) == pytest.approx([stamp / 1000 for stamp in stamps])


def test_joined_recordings_go_on(tmp_path: Path) -> None:
    """The second one's clock starts anew."""
    parts = [[7.0, 7.1, 9.0, 9.1], [0.5, 0.6, 2.6]]
    clip = tmp_path / "joined.ts"
    with clip.open("wb") as joined:
        for part in parts:
            written = write_clip(tmp_path / "part.ts", part, options={"bf": "0"})
            joined.write(written.read_bytes())
    assert times_of(clip) == pytest.approx([0, 0.1, 2.0, 2.1, 2.2, 2.3, 4.3], abs=MILLISECOND)


@pytest.mark.parametrize(
    ("stamps", "rest", "times"),
    [
        pytest.param([0, 1, 3, 0, 0], [], [0, 1, 3, 5, 7], id="the last have none"),
        pytest.param([0, 1, 3, 0, 0], [0, 1, 3, 3.5, 9], [0, 1, 3, 3.5, 9], id="they are known"),
        pytest.param([0, 0, 0.1], [], [0, 0, 0.1], id="repeated at the start"),
        pytest.param([0, 1, 2, 1.5, 3], [], [0, 1, 2, 2, 3], id="out of order"),
        pytest.param([4, 5, 0, 1], [], [0, 1, 2, 3], id="anew from naught"),
        pytest.param([0, 0, 0], [], [0, 0, 0], id="one moment"),
    ],
)
def test_stamps(stamps: list[float], rest: list[float], times: list[float]) -> None:
    taken = Stamps(frame_s=0.25, rest=lambda: rest)
    assert [taken.time_of(stamp) for stamp in stamps] == pytest.approx(times)


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


def test_a_clip_of_which_a_part_is_missing(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", [index / 10 for index in range(50)])
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    said: list[str] = []
    count = len(times_of(clip, said))
    assert 0 < count < 40
    (line,) = said
    assert f"after {count} frames; it says that it lasts 4.9 s: is it whole?" in line


def test_a_long_pause_of_a_file_is_kept(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> None:
    times = [0.0, 0.1, 600.0, 601.0]
    clip = write_clip(tmp_path / "clip.mkv", times)
    outcome = edgeseg("run", seeded_bundle.folder, "--source", clip, "--save", "saved.mp4")
    assert outcome.status == 0, outcome.err
    assert frame_times(Path("saved.mp4")) == pytest.approx(times, abs=MILLISECOND)


def test_a_pause_that_no_video_holds_is_one_line(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", [0.0, 0.1, 90_000.0])
    outcome = edgeseg("run", seeded_bundle.folder, "--source", clip, "--save", "saved.mp4")
    assert outcome.status == 1
    line = next(line for line in outcome.err.splitlines() if "saved.mp4" in line)
    assert "cannot take 000002: it is shown 25.0 hours after the frame before it" in line
    assert not Path("saved.mp4").exists()


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
