"""Cameras and streams that are lost, give nothing, or hang: each comes to an end."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import cv2
import numpy as np
import pytest
from captures import FakeCapture, in_turn

import edgeseg as library
from edgeseg.bundle.store import Bundle
from edgeseg.errors import SourceError
from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.captures import patient
from edgeseg.runtime.sources.live import device as live
from edgeseg.runtime.sources.live import stream
from edgeseg.runtime.sources.options import Retry


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BACK_OFF_S", (0.0, 0.01, 0.02))
    monkeypatch.setattr(live, "FIRST_FRAME_S", 0.3)
    monkeypatch.setattr(patient, "HANG_S", 0.5)
    monkeypatch.setattr(patient, "CLOSE_S", 0.2)
    monkeypatch.setattr(stream, "PATIENCE_S", 0.5)


def test_attempts_are_counted_since_the_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the device does not open, or opens and gives nothing."""
    closed, silent = FakeCapture(0, opens=False), FakeCapture(0)
    given = [FakeCapture(3), closed, FakeCapture(2), silent, silent, FakeCapture(1), silent]
    monkeypatch.setattr(cv2, "VideoCapture", in_turn(*given))
    said: list[str] = []
    got = 0
    with (
        open_source(0, retry=Retry(attempts=3, say=said.append)) as source,
        pytest.raises(SourceError, match="camera 0 gave no more frames after 6 and was not back"),
    ):
        for _ in source.frames:
            got += 1
    assert got == 6
    assert all(capture.released for capture in given)
    tried = [re.search(r"lost after (\d) frames, attempt (\d) in (\S+) s", line) for line in said]
    assert [found.groups() for found in tried if found] == [
        *(("3", "1", "0"), ("3", "2", "0.01")),
        *(("5", "1", "0"), ("5", "2", "0.01"), ("5", "3", "0.02")),
        *(("6", "1", "0"), ("6", "2", "0.01"), ("6", "3", "0.02")),
    ]
    back = [line.partition("camera 0: ")[2] for line in said if "back" in line]
    assert back == [
        "back after attempt 2; lost 1 times so far",
        "back after attempt 3; lost 2 times so far",
    ]


def test_a_camera_that_gives_nothing_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", in_turn(silent := FakeCapture(0)))
    begun = time.monotonic()
    with (
        pytest.raises(SourceError, match="camera 0 opens, but gives no frame") as found,
        open_source(0, retry=Retry(attempts=None)) as source,
    ):
        next(source.frames)
    assert time.monotonic() - begun < 3
    assert "Raspberry Pi's CSI camera needs libcamera: --gstreamer 'libcamerasrc" in str(
        found.value
    )
    assert "another program" in str(found.value)
    assert silent.released


def test_a_limit_of_attempts_holds_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the device does not open, or opens and gives nothing."""
    closed, silent = FakeCapture(0, opens=False), FakeCapture(0)
    monkeypatch.setattr(cv2, "VideoCapture", in_turn(closed, silent, FakeCapture(1)))
    said: list[str] = []
    with open_source(0, retry=Retry(attempts=2, say=said.append)) as source:
        next(source.frames)
    tried = [re.search(r"gives no frame yet, attempt (\d) in (\S+) s", line) for line in said]
    assert [found.groups() for found in tried if found] == [("1", "0"), ("2", "0.01")]

    monkeypatch.setattr(cv2, "VideoCapture", in_turn(closed, most=2))
    with (
        pytest.raises(SourceError, match="camera 0 cannot be opened"),
        open_source(0, retry=Retry(attempts=1)),
    ):
        pass


@pytest.mark.parametrize("before", [0, 2])
def test_a_driver_that_hangs(monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    """Its device is let go of when it comes back, and not before."""
    comes_back = threading.Event()
    hanging = FakeCapture(before, hangs=comes_back)
    monkeypatch.setattr(cv2, "VideoCapture", in_turn(hanging))
    said: list[str] = []
    got = []
    with (
        pytest.raises(SourceError, match="does not answer|not back after 2 attempts"),
        open_source(0, retry=Retry(attempts=2, say=said.append)) as source,
    ):
        got += source.frames
    assert len(got) == before
    # One line a hang: each would tell the service manager that all is well.
    assert sum("does not answer, attempt 1" in line for line in said) == len(said) == 1
    assert not hanging.released
    assert patient.has_left_behind()
    comes_back.set()
    until(lambda: hanging.released and not patient.has_left_behind())


@pytest.mark.parametrize(("uri", "opens"), [("gstreamer:videotestsrc", True), ("rtsp://x", False)])
def test_a_pipeline_may_take_longer_to_start(uri: str, *, opens: bool) -> None:
    def slowly() -> FakeCapture:
        time.sleep(1.0)  # longer than HANG_S
        return FakeCapture(1)

    capture = patient.PatientCapture(uri, slowly)
    assert capture.open() is opens
    capture.close()
    until(lambda: not patient.has_left_behind())


@pytest.mark.parametrize("hangs", [False, True])
def test_a_stop_ends_every_waiting(monkeypatch: pytest.MonkeyPatch, *, hangs: bool) -> None:
    """Between two attempts, and for a frame that does not come."""
    monkeypatch.setattr(patient, "HANG_S", 600.0)
    monkeypatch.setattr(live, "BACK_OFF_S", (600.0,))
    comes_back = threading.Event()
    device = FakeCapture(1, hangs=comes_back if hangs else None)
    monkeypatch.setattr(cv2, "VideoCapture", in_turn(device))
    with open_source(0, retry=Retry(attempts=None)) as source:
        taken: list[object] = []
        reader = threading.Thread(target=taken.extend, args=(source.frames,))
        reader.start()
        until(lambda: device.frames < 0)
        source.stop()
        reader.join(timeout=5)
        assert not reader.is_alive()
        assert len(taken) == 1
    comes_back.set()
    until(lambda: not patient.has_left_behind())


@pytest.mark.parametrize(
    "shape", [(48, 64), (72, 64), (48, 64, 4), (48, 64, 2)], ids=["GRAY8", "NV12", "BGRx", "YUY2"]
)
def test_a_pipeline_whose_format_no_caps_name_is_one_line(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda _backend: True)
    monkeypatch.setattr(
        cv2, "VideoCapture", in_turn(FakeCapture(5, picture=np.zeros(shape, np.uint8)))
    )
    with (
        pytest.raises(
            SourceError, match=r"GStreamer videotestsrc gives .* name it, .*format=BGR ! appsink"
        ),
        open_source("gstreamer:videotestsrc ! appsink") as source,
    ):
        next(source.frames)


@pytest.mark.usefixtures("by_opencv")
def test_what_opencv_raises_is_one_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(url: str, *_asked: object) -> FakeCapture:
        raise cv2.error(f"cannot open {url}")

    monkeypatch.setattr(cv2, "VideoCapture", fails)
    with (
        pytest.raises(SourceError, match=r"rtsp://\*\*\*@host/x cannot be read") as found,
        open_source("rtsp://admin:se#cret@host/x"),
    ):
        pass
    assert "cret" not in str(found.value)


@pytest.fixture
def silent_server() -> Iterator[int]:
    """Takes every connection, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            with suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        taker = threading.Thread(target=take)
        taker.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)  # closing would not end the waiting
        taker.join()
        for connection in taken:
            connection.close()


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("form", ["rtsp://127.0.0.1:{}/x", "http://127.0.0.1:{}/x.mp4"])
def test_a_server_that_says_nothing(silent_server: int, form: str) -> None:
    begun = time.monotonic()
    with (
        pytest.raises(SourceError, match="cannot be opened"),
        open_source(form.format(silent_server)),
    ):
        pass
    assert time.monotonic() - begun < 5


HELD_UP = """
import sys, time
import cv2
from edgeseg.cli import main as cli
from edgeseg.runtime.sources.captures import patient

def opens():  # comes back from OpenCV again and again, and so also amid Python's end
    while True:
        cv2.VideoCapture("rtsp://127.0.0.1:9/x", cv2.CAP_FFMPEG)

class Slow:
    def __del__(self):
        time.sleep(0.3)

patient.HANG_S = patient.CLOSE_S = 0.2
capture = patient.PatientCapture("rtsp://127.0.0.1:9/x", opens)
print(capture.open(), capture.hangs)
capture.close()
sys.modules["slow"] = Slow()
sys.argv = ["edgeseg", "--version"]
cli.main()
"""


def test_a_process_ends_though_a_driver_holds_a_thread() -> None:
    """Python's own end is aborted where a thread comes back from OpenCV amid it."""
    ended = subprocess.run(
        [sys.executable, "-c", HELD_UP], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(r"False True\nedgeseg \S+\n", ended.stdout)


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("attempts", "frames", "says", "counts"),
    [
        (0, 3, "camera 0 gave no more frames after 3; is it still", {"lost": 1, "ended": 1}),
        (1, 3, "and was not back after 1 attempt; is it still", {"lost": 1, "ended": 1}),
        (2, 3, "not back after 2 attempts; is", {"lost": 1, "retry": 1, "ended": 1}),
        (2, 0, "gave no frame at the start, nor in 2 attempts after", {"retry": 2, "ended": 1}),
        (0, 0, "gave no frame at the start; is it there at all", {"ended": 1}),
    ],
)
def test_a_source_that_is_given_up_counts_truly(
    monkeypatch: pytest.MonkeyPatch,
    seeded_bundle: Bundle,
    attempts: int,
    frames: int,
    says: str,
    counts: dict[str, int],
) -> None:
    """One loss counts once, and what never was there was not lost."""
    silent = FakeCapture(0)
    monkeypatch.setattr(cv2, "VideoCapture", in_turn(FakeCapture(frames), silent))
    lines: list[str] = []
    result = library.run(
        seeded_bundle.folder,
        source={"cam": 0, "street": "demo"},
        max_retries=attempts,
        seconds=2,
        show=False,
        say=lines.append,
    )
    (camera, _) = result.parts
    assert says in (camera.summary.lost or "")
    assert dict(camera.events) == counts
    told = [line.partition(" cam: ")[2] for line in lines if " cam: " in line]
    end = "given up; its outputs are finished, and the other sources go on"
    assert told[-1].partition(": ")[0] == end
    assert sum(says in line for line in told) == 1
    assert not [line for line in lines if "?;" in line]
