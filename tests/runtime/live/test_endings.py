"""However a source stalls or goes, a run ends, in time, with its summary and its outputs."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import cv2
import numpy as np
import pytest
import web

from edgeseg.bundle.store import Bundle
from edgeseg.calibration.gather import gather
from edgeseg.demo import draw_scene
from edgeseg.errors import BackendError, SourceError
from edgeseg.progress import Progress
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source, open_source
from edgeseg.runtime.sources.live import stream as streams

SEVERAL_S = 8.0


@pytest.fixture
def stalling(tmp_path: Path) -> Iterator[str]:
    """A video whose server sends half of it."""
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (64, 48))
    for index in range(40):
        writer.write(draw_scene(1, index, height=48, width=64).image)
    writer.release()
    with web.served(web.half_of(path.read_bytes())) as port:
        yield f"http://127.0.0.1:{port}/drive.avi"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE_S", 0.5)


def test_a_video_that_stalls(stalling: str, impatient: None) -> None:
    """It does not count as ended."""
    with (
        open_source(stalling) as source,
        pytest.raises(SourceError, match=r"drive\.avi stalls: after \d+ frames nothing came"),
    ):
        list(source.frames)


@pytest.mark.parametrize("limit", [["--seconds", "2"], ["--frames", "3"]])
def test_limits_hold_while_it_stalls(
    edgeseg, seeded_bundle: Bundle, stalling: str, limit: list[str]
) -> None:
    begun = time.monotonic()
    outcome = edgeseg("run", seeded_bundle.folder, "--source", stalling, *limit, "--json")
    assert time.monotonic() - begun < SEVERAL_S
    assert outcome.status == 0
    assert outcome.json["frames"] >= 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_hold_while_it_stalls(
    seeded_bundle: Bundle, stalling: str, tmp_path: Path, number: int
) -> None:
    run = [sys.executable, "-m", "edgeseg", "run", str(seeded_bundle.folder)]
    lines = tmp_path / "lines.jsonl"
    command = [*run, "--source", stalling, "--jsonl", str(lines)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        while not list(tmp_path.glob("lines*")) and process.poll() is None:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(number)
        begun = time.monotonic()
        _, said = process.communicate(timeout=30)
    assert time.monotonic() - begun < SEVERAL_S
    assert process.returncode == 0
    assert "frames, " in said
    assert lines.exists()


@pytest.mark.parametrize("name", ["drive.mp4", "live"])
def test_a_signal_while_a_server_says_nothing(
    seeded_bundle: Bundle, tmp_path: Path, name: str
) -> None:
    """Before the source is open: nothing was begun that could be finished."""
    asked = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        web.wait_for_the_end(request)

    with web.served(answer) as port:
        run = [sys.executable, "-m", "edgeseg", "run", str(seeded_bundle.folder)]
        command = [*run, "--source", f"http://127.0.0.1:{port}/{name}", "--max-retries", "9"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
            assert asked.wait(timeout=60)
            process.terminate()
            begun = time.monotonic()
            _, said = process.communicate(timeout=60)
        took = time.monotonic() - begun
    assert process.returncode == 128 + signal.SIGTERM
    assert said.endswith("edgeseg: terminated\n")
    assert took < SEVERAL_S


def test_seconds_count_from_the_first_frame(edgeseg, seeded_bundle: Bundle) -> None:
    """A camera that takes longer to start than it is watched is watched all the same."""
    frames = web.jpegs(200, pause_s=0.02)

    def answer(request: BaseHTTPRequestHandler) -> None:
        time.sleep(1.0)
        frames(request)

    with web.served(answer) as port:
        camera = f"http://127.0.0.1:{port}/live"
        command = ("run", seeded_bundle.folder, "--source", camera, "--seconds", "0.5", "--json")
        outcome = edgeseg(*command)
    assert outcome.status == 0, outcome.err
    assert outcome.json["frames"] >= 1
    assert "after the first frame." in " ".join(edgeseg("run", "--help").out.split())


def test_a_camera_that_is_lost_for_good(edgeseg, seeded_bundle: Bundle, impatient: None) -> None:
    """What it gave is kept and summed up; the status says that it was lost."""
    with web.served(web.jpegs(20, pause_s=0.02)) as port:
        camera = f"http://127.0.0.1:{port}/live"
        arguments = ["--max-retries", "0", "--jsonl", "o.jsonl", "--save", "o.mp4", "--json"]
        outcome = edgeseg("run", seeded_bundle.folder, "--source", camera, *arguments)
    assert outcome.status == 1
    frames = outcome.json["frames"]
    assert 1 <= frames <= 20
    assert outcome.json["lost"].startswith(f"{camera} gave no more frames after")
    assert f"{frames} frames, " in outcome.err
    assert "written: o.mp4" in outcome.err
    assert outcome.err.endswith("is it still connected?\n")
    assert len(Path("o.jsonl").read_text().splitlines()) == frames


def test_what_calibrate_watched_is_kept(tmp_path: Path, impatient: None) -> None:
    told: list[str] = []
    with web.served(web.jpegs(5, pause_s=0.02)) as port:
        found = gather(
            f"http://127.0.0.1:{port}/live",
            tmp_path / "kept",
            count=3,
            seconds=None,
            progress=Progress(say=told.append),
        )
    assert len(found.pictures) >= 1
    assert any("gave no more frames" in line and line.endswith("is kept") for line in told)


def test_what_is_watched_ends_in_time_though_it_stalls(stalling: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    found = gather(stalling, tmp_path / "kept", count=3, seconds=1, progress=Progress(say=print))
    assert time.monotonic() - begun < SEVERAL_S
    assert found.pictures


def test_no_thread_is_left_where_one_cannot_start(
    seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuses(thread: threading.Thread) -> None:
        if thread.name == "edgeseg infer":
            raise RuntimeError("can't start new thread")
        start(thread)

    def frames() -> Iterator[Captured]:
        image = np.zeros((48, 64, 3), np.uint8)
        for index in range(1000):
            at = time.perf_counter()
            yield Captured(index=index, name=str(index), time_s=index, at=at, image=image)

    monkeypatch.setattr(threading.Thread, "start", refuses)
    source = Source(name="many", frames=frames(), fps=30, length=None)
    with (
        Segmenter(seeded_bundle) as segmenter,
        pytest.raises((BackendError, RuntimeError), match="can't start new thread"),
        stream(segmenter, source),
    ):
        pass
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("edgeseg ")]
    assert not set(left) & {f"edgeseg {name}" for name in ("capture", "prepare", "infer", "mask")}


def test_a_rate_that_nobody_knows_is_not_told(edgeseg, seeded_bundle: Bundle) -> None:
    """FFmpeg takes JPEGs over HTTP for 25 a second."""
    with web.served(web.jpegs(40, pause_s=0.05)) as port:
        camera = f"http://127.0.0.1:{port}/live"
        command = ("run", seeded_bundle.folder, "--source", camera, "--fps", "15")
        outcome = edgeseg(*command, "--frames", "4")
    assert outcome.status == 0, outcome.err
    assert f"{camera}: 15 frames a second at most are segmented (--fps)\n" in outcome.err
    assert "25" not in outcome.err.replace(f":{port}/", "")
