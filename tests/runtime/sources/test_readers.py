"""PyAV and OpenCV read the same frames, to the bit; either is enough."""

from __future__ import annotations

import itertools
import socket
import sys
import threading
from pathlib import Path
from types import ModuleType

import av
import cv2
import numpy as np
import pytest
import web
from clips import B_FRAMES, write_clip
from rtsp import RtspServer

from edgeseg.demo import draw_scene
from edgeseg.errors import MissingPackageError
from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.captures.pyav import AvCapture
from edgeseg.runtime.sources.live import stream


def find_version(module: ModuleType) -> tuple[int, ...]:
    return tuple(map(int, module.__version__.split(".")[:2]))


# PyAV follows what a clip says of its color matrix from 17 on, and OpenCV from 4.13 on.
SAME_AGE = (find_version(av) >= (17, 0)) == (find_version(cv2) >= (4, 13))
TAGGED = pytest.mark.skipif(not SAME_AGE, reason="PyAV's FFmpeg and OpenCV's are not of one age")


def scenes(count: int, height: int, width: int) -> list[np.ndarray]:
    return [draw_scene(1, index, height=height, width=width).image for index in range(count)]


def read_by_opencv(path: Path | str) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames


@pytest.mark.parametrize(
    ("name", "size", "coded"),
    [
        ("h264.mp4", (48, 64), {}),
        ("b-frames.mkv", (48, 64), {"options": B_FRAMES}),
        ("large.mp4", (360, 640), {}),
        ("odd.mkv", (45, 71), {"pix_fmt": "yuv444p"}),
        ("narrow.ts", (46, 70), {}),
        ("half.mkv", (48, 70), {"pix_fmt": "yuv422p"}),
        ("vp9.webm", (48, 64), {"codec": "libvpx-vp9"}),
        ("jpeg.mkv", (48, 66), {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("mpeg4.avi", (48, 64), {"codec": "mpeg4", "ticks": 30}),
        ("full.mp4", (48, 64), {"colorspace": 6, "color_range": 2}),
        pytest.param("bt709.mp4", (48, 64), {"colorspace": 1}, marks=TAGGED),
        pytest.param("deep.mp4", (48, 64), {"pix_fmt": "yuv420p10le"}, marks=TAGGED),
    ],
)
def test_a_file(tmp_path: Path, name: str, size: tuple[int, int], coded: dict) -> None:
    images = scenes(6, *size)
    path = write_clip(tmp_path / name, [i / 30 for i in range(6)], images=images, **coded)
    with open_source(str(path)) as source:
        frames = [captured.image for captured in source.frames]
    expected = read_by_opencv(path)
    assert len(frames) == len(expected) == 6
    np.testing.assert_array_equal(frames, expected)


def test_broken_data_is_passed_over_alike(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "clip.ts",
        [i / 30 for i in range(40)],
        images=scenes(40, 96, 128),
        options={"g": "10"},
    )
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : third + 2000] = bytes(2000)
    path.write_bytes(content)
    with open_source(str(path)) as source:
        frames = [captured.image for captured in source.frames]
    expected = read_by_opencv(path)
    assert 20 < len(frames) < 40
    assert len(frames) == len(expected)
    # How FFmpeg conceals what is lost is its own affair; the next whole picture ends it.
    np.testing.assert_array_equal(frames[-5:], expected[-5:])


def test_a_web_video(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", [i / 30 for i in range(6)], images=scenes(6, 48, 64))
    content = path.read_bytes()

    def answer(request: web.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    with web.served(answer) as port, open_source(f"http://127.0.0.1:{port}/clip.mp4") as source:
        frames = [captured.image for captured in source.frames]
    np.testing.assert_array_equal(frames, read_by_opencv(path))


def test_a_stream(tmp_path: Path, reader: str) -> None:
    """Every frame that was sent, by TCP, whichever reads."""
    path = write_clip(tmp_path / "clip.ts", [i / 30 for i in range(9)], images=scenes(9, 48, 64))

    def send(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(path.read_bytes())

    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(target=send, args=(server,))
        sender.start()
        capture = stream.open_stream(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        frames = []
        while (read := capture.read())[0]:
            frames.append(read[1])
        capture.release()
        sender.join()
    assert isinstance(capture, AvCapture) == (reader == "PyAV")
    np.testing.assert_array_equal(frames, read_by_opencv(path))


def test_a_stream_needs_no_opencv(has_rtsp: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with RtspServer() as server, open_source(server.url) as source:
        assert source.live
        images = [captured.image for captured in itertools.islice(source.frames, 3)]
    assert [image.shape for image in images] == [(240, 320, 3)] * 3


def test_a_clip_needs_no_opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.mp4", [0, 0.1, 0.2])
    monkeypatch.setitem(sys.modules, "cv2", None)
    with open_source(str(path)) as source:
        assert [captured.image.shape for captured in source.frames] == [(48, 64, 3)] * 3


@pytest.mark.parametrize("uri", ["clip.mp4", "rtsp://127.0.0.1:9/x"])
def test_with_neither_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    write_clip(tmp_path / "clip.mp4", [0, 0.1])
    monkeypatch.chdir(tmp_path)
    for module in ("cv2", "av"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=r"edgeseg\[opencv\]"), open_source(uri):
        pass


def test_a_scheme_that_only_opencv_knows_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda url, *_asked: opened.append(url))
    stream.open_url("unheard-of://host/x")
    assert opened == ["unheard-of://host/x"]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (None, {"rtsp_flags": "prefer_tcp"}),
        ("rtsp_transport;udp|max_delay;500000", {"rtsp_transport": "udp", "max_delay": "500000"}),
    ],
)
def test_opencvs_variable_holds(
    monkeypatch: pytest.MonkeyPatch, text: str | None, options: dict[str, str]
) -> None:
    given = []

    def fails(*_file: object, **asked: object) -> None:
        given.append(asked["options"])
        raise OSError

    if text is not None:
        monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", text)
    monkeypatch.setattr(av, "open", fails)
    assert not AvCapture("rtsp://host/x").isOpened()
    assert given == [options]
