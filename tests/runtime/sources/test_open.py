from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import web
from captures import FakeCapture
from PIL import Image
from rtsp import RtspServer

from edgeseg.demo import draw_scene
from edgeseg.errors import SourceError
from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.captures.rate import read_rate
from edgeseg.runtime.sources.live import device as live
from edgeseg.runtime.sources.options import CameraOptions, Retry


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, name in enumerate(("b", "a", "c")):
        cv2.imwrite(str(folder / f"{name}.png"), draw_scene(1, index, height=48, width=64).image)
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (64, 48))
    for index in range(7):
        writer.write(draw_scene(1, index, height=48, width=64).image)
    writer.release()
    return path


@pytest.fixture
def mjpeg_camera() -> Iterator[str]:
    """A network camera: multipart JPEG over HTTP, on loopback, of 20 frames."""

    with web.served(web.jpegs(20)) as port:
        yield f"http://127.0.0.1:{port}/video.mjpg"


def test_a_folder_in_the_order_of_names(images: Path) -> None:
    with open_source(str(images)) as source:
        assert source.length == 3
        captured = list(source.frames)
    assert [c.name for c in captured] == ["a", "b", "c"]
    assert [c.index for c in captured] == [0, 1, 2]
    np.testing.assert_array_equal(captured[0].image, draw_scene(1, 1, height=48, width=64).image)


def test_an_animation_is_named_once(images: Path) -> None:
    first, second = (Image.new("RGB", (8, 6), color) for color in ("red", "blue"))
    for name in ("d", "e"):
        first.save(images / f"{name}.png", save_all=True, append_images=[second])
    told: list[str] = []
    with open_source(str(images), retry=Retry(say=told.append)) as source:
        shown = [captured.image[0, 0].tolist() for captured in source.frames]
    assert shown[3:] == [[0, 0, 255], [0, 0, 255]]
    says = f"{images / 'd.png'}: first of several frames; the next such images are not named"
    assert told == [says]


def test_a_pattern(images: Path) -> None:
    with open_source(str(images / "[ab].*")) as source:
        assert [c.name for c in source.frames] == ["a", "b"]


def test_one_image(images: Path) -> None:
    with open_source(str(images / "b.png")) as source:
        (captured,) = source.frames
    np.testing.assert_array_equal(captured.image, draw_scene(1, 0, height=48, width=64).image)


@pytest.mark.usefixtures("reader")
def test_a_video_loses_no_frame(video: Path) -> None:
    with open_source(str(video)) as source:
        assert (source.length, source.fps) == (7, 12.5)
        captured = list(source.frames)
    assert [c.index for c in captured] == list(range(7))
    assert captured[5].time_s == 5 / 12.5
    for index, c in enumerate(captured):
        error = np.abs(c.image.astype(int) - draw_scene(1, index, height=48, width=64).image)
        assert error.mean() < 6  # JPEG


@pytest.mark.usefixtures("reader")
def test_a_network_camera(mjpeg_camera: str) -> None:
    with open_source(mjpeg_camera) as source:
        assert source.length is None
        captured = list(itertools.islice(source.frames, 5))
    assert [c.index for c in captured] == list(range(5))
    assert captured[0].image.shape == (48, 64, 3)
    assert captured[0].at <= captured[4].at
    assert 0 <= captured[0].time_s <= captured[4].time_s < 60  # from the stream's own start


@pytest.fixture
def rtsp_camera(has_rtsp: None) -> Iterator[str]:
    with RtspServer() as server:
        yield server.url


def test_a_killed_rtsp_server_that_comes_back_is_found_again(
    has_rtsp: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BACK_OFF_S", (0.3,))
    said: list[str] = []
    with (
        RtspServer() as server,
        open_source(server.url, retry=Retry(attempts=None, say=said.append)) as source,
    ):
        first = list(itertools.islice(source.frames, 5))
        server.kill()
        server.start()
        last = list(itertools.islice(source.frames, 60))
    assert [c.index for c in (*first, *last)] == list(range(65))
    assert any("lost after" in line and "attempt 1 in 0.3 s" in line for line in said)
    assert any(line.endswith("lost 1 times so far") for line in said)
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d rtsp://", line) for line in said)


def test_a_camera_is_asked_and_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a camera of the test's own: there is none here."""
    asked: dict[int, float] = {}

    class Camera(FakeCapture):
        def set(self, prop: int, value: float) -> bool:
            asked[prop] = value
            return True

        def get(self, prop: int) -> float:
            given = {cv2.CAP_PROP_FRAME_WIDTH: 1280, cv2.CAP_PROP_FRAME_HEIGHT: 720}
            given |= {cv2.CAP_PROP_FPS: 25, cv2.CAP_PROP_FOURCC: asked[cv2.CAP_PROP_FOURCC]}
            return float(given[prop])

    monkeypatch.setattr(cv2, "VideoCapture", lambda _index: Camera(2))
    options = CameraOptions(width=1920, height=1080, fps=30)
    with open_source(3, camera=options) as source:
        assert source.name == "camera 3 (720x1280, 25 a second, MJPG)"
        assert source.live
        assert len(list(itertools.islice(source.frames, 2))) == 2
    assert asked == {
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter_fourcc(*"MJPG"),
        cv2.CAP_PROP_FRAME_WIDTH: 1920,
        cv2.CAP_PROP_FRAME_HEIGHT: 1080,
        cv2.CAP_PROP_FPS: 30,
        cv2.CAP_PROP_BUFFERSIZE: 1,
    }


def test_an_opencv_without_gstreamer_says_so() -> None:
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        pytest.skip("this OpenCV has GStreamer")
    with (
        pytest.raises(SourceError, match="built without GStreamer; a Jetson's own has it"),
        open_source("gstreamer:videotestsrc ! appsink"),
    ):
        pass


def test_an_rtsp_camera(rtsp_camera: str) -> None:
    with open_source(rtsp_camera) as source:
        captured = list(itertools.islice(source.frames, 10))
    assert [c.index for c in captured] == list(range(10))
    assert captured[0].image.shape == (240, 320, 3)
    assert not np.array_equal(captured[0].image, captured[9].image)  # the ball moves


@pytest.mark.usefixtures("reader")
def test_a_stream_that_ends_says_so(mjpeg_camera: str) -> None:
    with open_source(mjpeg_camera) as source, pytest.raises(SourceError, match="no more frames"):
        list(source.frames)


@pytest.mark.parametrize(("told", "taken"), [(0, 30), (90_000, 30), (-1, 30), (29.97, 29.97)])
def test_a_rate_that_cannot_be_is_not_believed(told: float, taken: float) -> None:
    class Driver:
        def get(self, _property: int) -> float:
            return told

    assert read_rate(Driver()) == taken


def test_a_camera_that_tells_no_rate_has_none_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda _number: FakeCapture(2))
    with open_source(0) as source:
        assert "rate unknown" in source.name


def test_drawn_scenes_have_no_end() -> None:
    with open_source("demo") as source:
        first = list(itertools.islice(source.frames, 2))
    assert source.length is None
    assert first[0].image.shape == (480, 640, 3)
    assert not np.array_equal(first[0].image, first[1].image)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        (7, "camera 7 cannot be opened"),
        (
            "missing.mp4",
            (
                "no source at missing.mp4; give a file, a folder, a pattern, a URL, a camera or "
                "demo; edgeseg sources lists the cameras"
            ),
        ),
        ("missing/*.png", "no image matches"),
        ("rtsp://127.0.0.1:9/stream", "stream rtsp://127.0.0.1:9/stream cannot be opened"),
        ("http://127.0.0.1:9/stream", "cannot be opened"),
    ],
)
def test_what_is_not_there_is_named(
    uri: str | int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=says), open_source(uri):
        pass


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no images"), open_source(str(tmp_path)):
        pass


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("name", ["broken.mp4", "broken.txt"])
def test_a_video_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01 nothing of the kind" * 50)
    path = str(tmp_path / name)
    with pytest.raises(SourceError, match="cannot be opened as a video"), open_source(path):
        pass


def test_a_broken_image_is_named(images: Path) -> None:
    (images / "b.png").write_bytes(b"broken")
    with pytest.raises(SourceError, match=r"b\.png cannot be read"), open_source(str(images)) as s:
        list(s.frames)


@pytest.mark.usefixtures("by_opencv")
def test_the_device_is_released_when_the_consumer_stops_early(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    original = cv2.VideoCapture

    def watched(uri: str) -> cv2.VideoCapture:
        opened.append(original(uri))
        return opened[0]

    monkeypatch.setattr(cv2, "VideoCapture", watched)
    with pytest.raises(ZeroDivisionError), open_source(str(video)) as source:
        next(source.frames)
        assert opened[0].isOpened()
        raise ZeroDivisionError
    assert not opened[0].isOpened()
