"""Frames of a file carry the file's own times, whatever its container and however uneven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import B_FRAMES, UNEVEN, frame_times, write_clip, write_stamped

from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.captures.stamps import Stamps
from edgeseg.runtime.sources.options import Retry

pytestmark = pytest.mark.usefixtures("reader")

MILLISECOND = 1e-3
# As of AVI, which knows no other times than multiples of its frame.
SLOTS = [index / 30 for index in (0, 1, 2, 3, 10, 11, 30, 60, 61)]


def times_of(path: Path, said: list[str] | None = None) -> list[float]:
    retry = Retry(say=(said if said is not None else []).append)
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


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_clip_shorter_than_the_decoder_is_deep(tmp_path: Path, codec: str) -> None:
    options = B_FRAMES if codec == "libx264" else {"x265-params": "log-level=none"}
    times = [0.0, 0.2, 0.3]
    clip = write_clip(tmp_path / "clip.mp4", times, codec=codec, options=options)
    assert times_of(clip) == pytest.approx(times, abs=MILLISECOND)


def test_an_animated_picture_has_its_own_times(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.gif", UNEVEN, codec="gif", pix_fmt="rgb8")
    assert times_of(clip) == pytest.approx(frame_times(clip), abs=MILLISECOND)


@pytest.mark.parametrize("options", [{"bf": "0"}, B_FRAMES], ids=["in order", "B-frames"])
@pytest.mark.parametrize("ending", ["h264", "mpg"])
def test_what_holds_no_times_is_evenly_spaced(
    tmp_path: Path, reader: str, ending: str, options: dict[str, str]
) -> None:
    """As a Raspberry Pi writes it; of H.264 in MPEG-PS only the first frame has a stamp."""
    shown = [index / 30 for index in range(40)]
    clip = write_clip(tmp_path / f"pi.{ending}", shown, options=options, ticks=30)
    # Of raw H.264 PyAV tells the rate that the encoder wrote, and OpenCV that or FFmpeg's default.
    rate = tell_rate(clip) if (reader, ending) == ("OpenCV", "h264") else 30
    assert rate in {25, 30}
    said: list[str] = []
    assert times_of(clip, said) == pytest.approx([index / rate for index in range(40)])
    (line,) = said
    assert line == (
        f"{clip} tells no times: its frames are taken for {rate:g} a second, evenly spaced"
    )


def test_some_frames_have_no_times(tmp_path: Path) -> None:
    """MPEG-PS stamps the first of the frames in a packet."""
    shown = [index / 30 for index in range(40)]
    noise = np.random.default_rng(0).integers(0, 255, (40, 24, 32, 3), dtype=np.uint8)
    options = {"bf": "0", "crf": "40"}
    clip = write_clip(tmp_path / "c.mpg", shown, images=[*noise], options=options, ticks=30)
    assert times_of(clip) == pytest.approx(shown, abs=MILLISECOND)


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
        pytest.param([0, 0, 0.1], [], [0, 0.25, 0.25], id="repeated at the start, or unknown"),
        pytest.param([0, 0, 0.1], [0, 0, 0.1], [0, 0, 0.1], id="repeated at the start"),
        pytest.param([0, 1, 2, 1.5, 3], [], [0, 1, 2, 2, 3], id="out of order"),
        pytest.param([4, 5, 0, 1], [], [0, 1, 2, 3], id="anew from naught"),
        pytest.param([0, 0, 0], [], [0, 0.25, 0.5], id="no times"),
        pytest.param([0, 0, 0], [0, 0, 0], [0, 0, 0], id="one moment"),
        pytest.param([0, 0, 0], [0, 1, 3], [0, 1, 3], id="all in the decoder"),
        pytest.param([0, 0, 1], [0, 0, 1], [0, 0, 1], id="repeated, as is known"),
    ],
)
def test_stamps(stamps: list[float], rest: list[float], times: list[float]) -> None:
    said: list[str] = []
    taken = Stamps(frame_s=0.25, rest=lambda: rest, untimed=lambda: said.append("untimed"))
    assert [taken.find_time(stamp) for stamp in stamps] == pytest.approx(times)
    assert len(said) == taken.guessed == (stamps[1] == 0 and not rest)


def test_a_clip_of_which_a_part_is_missing(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", [index / 10 for index in range(50)])
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    said: list[str] = []
    count = len(times_of(clip, said))
    assert 0 < count < 40
    line = said[-1]  # OpenCV 4.8 also doubts the stamp of the second frame
    assert f"after {count} frames; it says that it lasts 4.9 s: is it whole?" in line


def tell_rate(clip: Path) -> float:
    import cv2

    capture = cv2.VideoCapture(str(clip))
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    return rate
