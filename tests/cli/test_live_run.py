"""`edgeseg run` on cameras and streams, on screens, and under a service manager."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import cv2
import pytest
import web
from rtsp import RtspServer
from videos import frames_in

from edgeseg.bundle.store import Bundle


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_cleanly(
    seeded_bundle: Bundle, tmp_path: Path, number: signal.Signals
) -> None:
    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--jsonl", "-", "--save", "o.mp4"]
    with subprocess.Popen(
        [sys.executable, "-m", "edgeseg", *args],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "frames, " in err
    assert [p.name for p in tmp_path.iterdir()] == ["o.mp4"]
    video = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) >= 3
    video.release()


@pytest.mark.parametrize(
    "name",
    [
        "camvid_drive_10fps",
        "car-detection",
        "one-by-one-person-detection",
        "sidewalk",
        "solidWhiteRight",
    ],
)
def test_a_real_clip(edgeseg, shared: Path, seeded_bundle: Bundle, name: str) -> None:
    """Size and rate of what is saved are the clip's."""
    clip = shared / "video" / f"{name}.mp4"
    outputs = ("--save", "o.mp4", "--masks", "m", "--jsonl", "o.jsonl")
    command = ("run", seeded_bundle.folder, "--source", clip, "--frames", 12)
    outcome = edgeseg(*command, *outputs, "--json")
    assert outcome.status == 0
    assert (outcome.json["frames"], outcome.json["dropped"]) == (12, 0)
    assert len(list(Path("m").glob("*.png"))) == 12
    assert len(Path("o.jsonl").read_text().splitlines()) == 12
    assert frames_in(Path("o.mp4")) == 12
    given, saved = (cv2.VideoCapture(str(video)) for video in (clip, "o.mp4"))
    for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT):
        assert saved.get(prop) == given.get(prop) + given.get(prop) % 2
    assert saved.get(cv2.CAP_PROP_FPS) == pytest.approx(given.get(cv2.CAP_PROP_FPS), rel=0.02)


def test_a_lost_camera_ends_in_time(edgeseg, seeded_bundle: Bundle) -> None:
    with web.served(web.once(web.jpegs(3))) as port:
        url = f"http://127.0.0.1:{port}/stream.mjpg"
        outcome = edgeseg("run", seeded_bundle.folder, "--source", url, "--seconds", 2)
    assert outcome.status == 0
    assert "frames, " in outcome.err


def test_a_network_camera_that_goes_on(edgeseg, seeded_bundle: Bundle) -> None:
    with web.served(web.jpegs(2000)) as port:
        url = f"http://127.0.0.1:{port}/stream.mjpg"
        outcome = edgeseg(
            "run", seeded_bundle.folder, "--source", url, "--frames", 10, "--save", "o.mp4"
        )
    assert outcome.status == 0
    assert frames_in(Path("o.mp4")) == 10


def test_a_reader_that_goes_away_takes_no_other_output_with_it(
    seeded_bundle: Bundle, tmp_path: Path
) -> None:
    outputs = ["--jsonl", "-", "--save", "o.mp4", "--frames", "12"]
    command = [sys.executable, "-m", "edgeseg", "run", str(seeded_bundle.folder)]
    with subprocess.Popen(
        [*command, "--source", "demo", *outputs],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert "stdout cannot be written: whoever read it went away; the other outputs go on" in said
    assert "Traceback" not in said
    assert frames_in(tmp_path / "o.mp4") == 12


def test_a_real_stream(edgeseg, has_rtsp: None, seeded_bundle: Bundle) -> None:
    with RtspServer() as server:
        outcome = edgeseg(
            "run", seeded_bundle.folder, "--source", server.url, "--frames", 20, "--json"
        )
    assert outcome.status == 0
    assert outcome.json["frames"] == 20
    assert f"source {server.url}" in outcome.err


def test_a_lost_camera_leaves_what_was_recorded(edgeseg, seeded_bundle: Bundle) -> None:
    outputs = ("--save", "o.mp4", "--jsonl", "o.jsonl", "--max-retries", 0)
    with web.served(web.jpegs(3)) as port:
        url = f"http://127.0.0.1:{port}/stream.mjpg"
        outcome = edgeseg("run", seeded_bundle.folder, "--source", url, *outputs)
    assert outcome.status == 1
    assert "gave no more frames after 3" in outcome.err
    lines = Path("o.jsonl").read_text().splitlines()
    assert lines  # the newest of three: how many a slow machine drops nobody knows
    assert frames_in(Path("o.mp4")) == len(lines)
    assert sorted(p.name for p in Path().iterdir()) == ["o.jsonl", "o.mp4"]


def test_a_killed_run_leaves_a_video_that_plays(seeded_bundle: Bundle, tmp_path: Path) -> None:
    """Up to a second before: at ten frames a second, the last whole ten and those before them."""
    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--jsonl", "-", "--save", "o.mp4"]
    with subprocess.Popen(
        [sys.executable, "-m", "edgeseg", *args],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(37):
            process.stdout.readline()
        process.kill()
        written = 37 + len(process.stdout.read().splitlines())
    assert process.returncode == -signal.SIGKILL
    assert {p.name for p in tmp_path.iterdir()} == {"o.partial.mp4", ".o.mp4.edgeseg-lock"}
    assert written - 11 <= frames_in(tmp_path / "o.partial.mp4") <= written


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_waits_for_a_lost_camera_can_be_ended(
    seeded_bundle: Bundle, tmp_path: Path, number: signal.Signals
) -> None:
    run = [sys.executable, "-m", "edgeseg", "run", str(seeded_bundle.folder)]
    with (
        web.served(web.once(web.jpegs(3))) as port,
        subprocess.Popen(
            [*run, "--source", f"http://127.0.0.1:{port}/stream.mjpg"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process,
    ):
        assert process.stderr is not None
        next(line for line in process.stderr if "lost after" in line)
        next(line for line in process.stderr if "attempt 2" in line)
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(timeout=30) == 0
    assert re.search(r"^\d+ frames?, ", said, re.MULTILINE)


def test_without_a_screen_a_window_is_one_line(
    edgeseg, seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    outcome = edgeseg(
        "run", seeded_bundle.folder, "--source", "demo", "--frames", 2, "--show", "--json"
    )
    assert outcome.status == 0
    assert "no window: there is no display; use --preview to watch in a browser\n" in outcome.err
    assert outcome.json["frames"] == 2


def test_a_display_that_cannot_be_reached_is_one_line(
    edgeseg, seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "demo", "--frames", 2, "--show")
    assert outcome.status == 0
    assert outcome.err.count("no window: ") == 1


def test_systemd_hears_of_a_run(seeded_bundle: Bundle, tmp_path: Path) -> None:
    """A real datagram socket in systemd's place."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        args = ["run", str(seeded_bundle.folder), "--source", "demo", "--seconds", "2.5"]
        result = subprocess.run(
            [sys.executable, "-m", "edgeseg", *args],
            cwd=tmp_path, env=environment, capture_output=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0
        manager.setblocking(False)
        told = []
        with suppress(BlockingIOError):
            while True:
                told.append(manager.recv(1000).decode())
    assert told[0].startswith("READY=1\nSTATUS=")
    assert told[1:-1] == ["WATCHDOG=1"] * len(told[1:-1])
    assert 1 <= len(told[1:-1]) <= 4  # once a second, or with each frame where one takes longer
    assert told[-1] == "STOPPING=1"


def test_a_reader_that_goes_away_ends_a_run(seeded_bundle: Bundle, tmp_path: Path) -> None:
    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--jsonl", "-"]
    with subprocess.Popen(
        [sys.executable, "-m", "edgeseg", *args],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.returncode == 1
        assert "Traceback" not in process.stderr.read()
