"""Frames on standard input: JPEGs, raw frames and videos, from pipes and files."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import write_clip
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import SourceError, SpecError
from edgeseg.runtime.sources import Source
from edgeseg.runtime.sources.live import pipe as pipes
from edgeseg.runtime.sources.live.jpegs import JpegSplitter
from edgeseg.runtime.sources.live.raw import RAW_FORMATS, RawFrames
from edgeseg.runtime.sources.live.stdin import open_stdin
from edgeseg.runtime.sources.options import Retry

SCENES = [draw_scene(1, index, height=48, width=64).image for index in range(5)]


def to_jpeg(image: np.ndarray, **options: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image[:, :, ::-1]).save(content, "JPEG", **options)
    return content.getvalue()


JPEGS = [to_jpeg(image) for image in SCENES]


@contextmanager
def piped(
    content: bytes, said: list[str] | None = None, raw: RawFrames | None = None
) -> Iterator[Source]:
    """The source that a pipe is, into which another thread writes."""
    reads, writes = os.pipe()

    def write() -> None:
        with os.fdopen(writes, "wb") as end:
            end.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with open_stdin(
            raw, Retry(say=(said if said is not None else []).append), descriptor=reads
        ) as source:
            yield source
    finally:
        os.close(reads)
        writer.join()


def images_of(source: Source) -> list[np.ndarray]:
    return [captured.image for captured in source.frames]


def test_jpegs_in_a_pipe_are_live() -> None:
    said: list[str] = []
    with piped(b"".join(JPEGS), said) as source:
        assert source.live
        frames = list(source.frames)
    assert [c.index for c in frames] == list(range(5))
    assert 0 <= frames[0].time_s <= frames[4].time_s
    assert all(abs(c.wall_s - time.time()) < 60 for c in frames)
    expected = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in JPEGS]
    np.testing.assert_array_equal([c.image for c in frames], expected)
    assert said == ["standard input: JPEGs, live, the newest frame counts"]


def test_what_is_broken_between_jpegs_is_passed_over() -> None:
    said: list[str] = []
    cut, spoiled = JPEGS[1][:700], JPEGS[2][:300] + bytes(20) + JPEGS[2][320:]
    with piped(JPEGS[0] + b"noise" + cut + JPEGS[3] + spoiled[:2] + JPEGS[4], said) as source:
        assert len(images_of(source)) == 3
    assert said[1:] == [
        f"standard input: 0 broken JPEGs and {5 + 700 + 2} bytes of no whole JPEG were passed over"
    ]


def test_a_last_jpeg_that_is_cut() -> None:
    said: list[str] = []
    with piped(JPEGS[0] + JPEGS[1][:500], said) as source:
        assert len(images_of(source)) == 1
    assert "standard input ended inside a frame: its last 500 bytes were passed over" in said


@given(
    sizes=st.lists(st.integers(1, 4000), min_size=1, max_size=30),
    noise=st.lists(st.binary(max_size=40), min_size=5, max_size=5),
)
def test_jpegs_are_found_however_they_arrive(sizes: list[int], noise: list[bytes]) -> None:
    """In pieces of any size; noise without a start of image lies between."""
    noise = [part.replace(b"\xff", b"\xfe") for part in noise]
    kinds = [*JPEGS[:3], to_jpeg(SCENES[3], progressive=True), to_jpeg(SCENES[4], exif=thumbnail())]
    content = b"".join(n + jpeg for n, jpeg in zip(noise, kinds, strict=True))
    splitter, found, at = JpegSplitter(), [], 0
    for size in [*sizes, len(content)]:
        found += splitter.feed(content[at : at + size])
        at += size
    assert found == kinds
    assert splitter.passed_over == sum(map(len, noise))
    assert splitter.held == 0


def thumbnail() -> bytes:
    """An EXIF segment that holds a JPEG, as cameras write it."""
    return b"Exif\x00\x00" + JPEGS[0]


@pytest.mark.parametrize("kind", RAW_FORMATS)
def test_raw_frames(kind: str) -> None:
    raw = RawFrames(height=48, width=64, format=kind)
    said: list[str] = []
    content = b"".join(encode(image, kind) for image in SCENES)
    with piped(content + b"half", said, raw) as source:
        frames = images_of(source)
    assert "its last 4 bytes were passed over" in said[-1]
    assert said[0].startswith(f"standard input: raw {kind} of 48x64, live")
    expected = [decode(encode(image, kind), kind) for image in SCENES]
    difference = np.abs(np.array(frames, int) - expected)
    assert difference.max() <= (1 if kind in {"yuv420p", "nv12"} else 0)  # fixed point


def encode(image: np.ndarray, kind: str) -> bytes:
    if kind in {"bgr24", "rgb24"}:
        return (image if kind == "bgr24" else image[:, :, ::-1]).tobytes()
    planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    if kind == "gray":
        return planes[:48].tobytes()
    if kind == "nv12":
        u, v = planes[48:].reshape(2, -1)
        return planes[:48].tobytes() + np.stack([u, v], axis=1).tobytes()
    return planes.tobytes()


def decode(content: bytes, kind: str) -> np.ndarray:
    """By BT.601's equations for video range, each 2x2 pixels with one color."""
    values = np.frombuffer(content, np.uint8)
    if kind in {"bgr24", "rgb24"}:
        return values.reshape(48, 64, 3)[:, :, :: 1 if kind == "bgr24" else -1]
    if kind == "gray":
        return np.stack([values.reshape(48, 64)] * 3, axis=2)
    luma, chroma = values[: 48 * 64].reshape(48, 64).astype(float), values[48 * 64 :]
    u, v = chroma.reshape(2, -1) if kind == "yuv420p" else chroma.reshape(-1, 2).T
    u, v = ((part.reshape(24, 32).repeat(2, 0).repeat(2, 1) - 128.0) for part in (u, v))
    y = 255 / 219 * (luma - 16)
    bgr = [y + 2.018 * u, y - 0.813 * v - 0.391 * u, y + 1.596 * v]
    return np.clip(np.rint(np.stack(bgr, axis=2)), 0, 255)


@pytest.mark.parametrize("ending", ["ts", "mkv", "h264"])
def test_a_video_in_a_pipe(tmp_path: Path, ending: str) -> None:
    clip = write_clip(
        tmp_path / f"clip.{ending}", [i / 30 for i in range(30)], options={"bf": "0"}, ticks=30
    )
    capture, expected = cv2.VideoCapture(str(clip)), []
    while (read := capture.read())[0]:
        expected.append(read[1])
    with piped(clip.read_bytes()) as source:
        assert source.live
        np.testing.assert_array_equal(images_of(source), expected)
    assert len(expected) == 30


@pytest.mark.parametrize("ending", ["mp4", "mjpeg"])
def test_a_file_on_standard_input_loses_no_frame(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"clip.{ending}"
    if ending == "mp4":
        write_clip(path, [i / 30 for i in range(5)], images=SCENES)
    else:
        path.write_bytes(b"".join(JPEGS))
    with (
        path.open("rb") as file,
        open_stdin(None, Retry(say=print), descriptor=file.fileno()) as source,
    ):
        assert not source.live
        times = [captured.time_s for captured in source.frames]
    rate = 30 if ending == "mp4" else 25
    assert times == pytest.approx([i / rate for i in range(5)], abs=1e-3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "ended before its first frame; does its writer run"),
        (bytes(200_000), "neither JPEGs nor a video that FFmpeg knows; raw frames need --raw-size"),
        (JPEGS[0][:200], "ended before its first frame"),
    ],
    ids=["nothing", "zeros", "half a JPEG"],
)
def test_no_frames(content: bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says), piped(content) as source:
        list(source.frames)


@pytest.mark.parametrize("content", [SCENES[1].tobytes(), bytes(200_000)], ids=["raw", "zeros"])
def test_a_file_of_no_known_frames_is_told_as_a_pipe_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.bgr"
    path.write_bytes(content)
    with (
        path.open("rb") as file,
        pytest.raises(
            SourceError, match="^standard input is neither JPEGs nor a video that FFmpeg"
        ),
        open_stdin(None, Retry(say=print), descriptor=file.fileno()),
    ):
        pass


def test_a_video_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with (
        pytest.raises(SourceError, match=r"needs PyAV: pip install 'edgeseg\[video\]'"),
        piped(b"G" * 999),
    ):
        pass


def test_a_terminal_is_refused() -> None:
    ours, terminal = pty.openpty()
    with (
        pytest.raises(SourceError, match="is a terminal; pipe frames into it: rpicam-vid"),
        open_stdin(None, Retry(say=print), descriptor=terminal),
    ):
        pass
    os.close(ours)
    os.close(terminal)


def test_a_stop_ends_the_wait_and_a_silence_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "SILENCE_S", 0.1)
    told = threading.Event()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "nothing came" in line:
            told.set()

    reads, writes = os.pipe()
    os.write(writes, JPEGS[0] + JPEGS[1][:99])
    taken: list[object] = []
    with open_stdin(None, Retry(say=say), descriptor=reads) as source:
        reader = threading.Thread(target=taken.extend, args=(source.frames,))
        reader.start()
        assert told.wait(10)
        source.stop()
        reader.join(10)
        assert not reader.is_alive()
    assert len(taken) == 1
    assert said[1:] == ["standard input: nothing came for 0.1 s; waiting"]
    os.close(reads)
    os.close(writes)


@pytest.mark.parametrize(
    ("height", "width", "kind", "says"),
    [
        (48, 63, "nv12", "height and width are even; got 48x63"),
        (48, 64, "yuyv", "raw frames are bgr24, rgb24, gray, yuv420p or nv12; got 'yuyv'"),
        (0, 64, "gray", "height is a whole number of 1 or more"),
    ],
)
def test_raw_frames_that_cannot_be(height: int, width: int, kind: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        RawFrames(height=height, width=width, format=kind)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--source x.mp4 --raw-size 48x64", "are for standard input; add --source -"),
        ("--source - --raw-size 48x64", "raw frames need .*; add --raw-format"),
        ("--source - --raw-format gray", "raw frames need .*; add --raw-size"),
        ("--source - --raw-format nv12 --raw-size 47x64", "height and width are even"),
    ],
)
def test_options_that_do_not_fit(edgeseg, options: str, says: str) -> None:
    outcome = edgeseg("run", *options.split())
    assert outcome.status == 2
    assert re.search(says, outcome.err)


def test_a_run_on_a_pipe_ends_well(seeded_bundle: Bundle) -> None:
    """And with exit status 1, where nothing came."""
    command = [sys.executable, "-m", "edgeseg", "run", str(seeded_bundle.folder), "--source", "-"]
    ran = subprocess.run(
        [*command, "--jsonl", "-", "--raw-size", "48x64", "--raw-format", "bgr24"],
        input=b"".join(image.tobytes() for image in SCENES),
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert b"source standard input (raw bgr24 of 48x64)" in ran.stderr
    assert b'{"index": 4, ' in ran.stdout  # the newest frame
    empty = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert empty.returncode == 1
    assert b"ended before its first frame" in empty.stderr
