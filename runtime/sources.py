"""Cameras, streams, videos and images as frames. Whatever happens, the device is released.

0                          a camera by its index
rtsp://... http://...      a network stream; http://.../drive.mp4 is a video
gstreamer:...              a GStreamer pipeline that ends in an appsink
drive.mp4                  a video
street.jpg                 one image
frames/                    the images of a folder, by name
'frames/*.png'             the images that match
demo                       a drawn street with ground truth, without end
"""

from __future__ import annotations

import glob
import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edgeseg.demo import DEMO, FPS, scene
from edgeseg.demo.splits import LIVE_SEED
from edgeseg.errors import SourceError
from edgeseg.images import IMAGE_SUFFIXES, files_in, read_image
from edgeseg.labels import Labels, known_labels
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.runtime.live import CameraOptions, LiveDevice, Retry
from edgeseg.runtime.opencv import import_opencv

__all__ = ["GSTREAMER", "Captured", "Source", "open_source"]

GSTREAMER: Final = "gstreamer:"

_WEB_SCHEMES = ("http://", "https://")
_STREAM_SCHEMES = ("rtsp://", "rtsps://", *_WEB_SCHEMES)
_PATIENCE_MS: Final = 5000
_VIDEO_SUFFIXES: Final = (".avi", ".mkv", ".mov", ".mp4", ".webm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One frame: `time_s` counts from the source's start, `at` is `time.perf_counter()`'s.

    `truth` is what the frame shows, where the source knows it.
    """

    index: int
    name: str
    time_s: float
    at: float
    image: Bgr
    truth: ClassMap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An opened source. `frames` can be walked once; `length` is None where nobody knows it.

    A `live` one goes on whether or not its frames are taken, so the newest counts. `stop` may be
    called from another thread: whoever waits for a frame waits no longer.
    `labels` tell what the ids of the frames' `truth` mean; None where they have none.
    """

    name: str
    frames: Iterator[Captured]
    fps: float
    length: int | None
    labels: Labels | None = None
    live: bool = False
    stop: Callable[[], None] = lambda: None


_AS_IT_COMES: Final = CameraOptions()
_ONCE: Final = Retry()


@contextmanager
def open_source(
    uri: str | int,
    *,
    camera: CameraOptions = _AS_IT_COMES,
    retry: Retry = _ONCE,
) -> Iterator[Source]:
    """Open a camera by index, a stream by URL or GStreamer string, or files by path or pattern.

    `camera` is asked of a camera only. A camera or stream that is lost is opened again as `retry`
    says.

    Raises:
        SourceError: it is not there, or cannot be read. Later, while walking: it broke off.
        MissingPackageError: a camera, stream or video, and no OpenCV.
    """
    if isinstance(uri, int):
        with _live(lambda: _open_camera(uri, camera), uri, f"camera {uri}", retry) as source:
            yield source
    elif uri == DEMO:
        labels = known_labels("camvid")
        yield Source(name=uri, frames=_draw_scenes(), fps=FPS, length=None, labels=labels)
    elif uri.startswith(_WEB_SCHEMES) and _is_file(uri):
        name = _without_password(uri)
        with _capture(uri, name) as device:
            yield _video(device, name)
    elif uri.startswith(_STREAM_SCHEMES):
        name = _without_password(uri)
        with _live(lambda: _open_stream(uri, name), uri, name, retry) as source:
            yield source
    elif uri.startswith(GSTREAMER):
        pipeline = uri.removeprefix(GSTREAMER)
        with _live(lambda: _open_gstreamer(pipeline), uri, "GStreamer", retry) as source:
            yield source
    elif images := _image_paths(uri):
        yield Source(name=uri, frames=_read_images(images), fps=_IMAGES_FPS, length=len(images))
    else:
        with _capture(uri, uri) as device:
            yield _video(device, uri)


# The rate at which a folder of images plays when it is saved as a video.
_IMAGES_FPS = 10.0
# What a camera that does not tell its rate is taken for.
_UNKNOWN_FPS = 30.0


def _image_paths(uri: str) -> list[Path]:
    """The images that a path or pattern names; none for a video."""
    path = Path(uri)
    try:
        path.exists()
    except OSError as error:  # a name that is too long, or a folder that is closed
        raise SourceError(f"source {uri} cannot be read: {error.strerror}") from None
    if path.is_dir():
        found = files_in(path)
        if not found:
            raise SourceError(f"folder {uri} holds no images ({', '.join(IMAGE_SUFFIXES)})")
        return found
    if path.is_file():
        return [path] if path.suffix.lower() in IMAGE_SUFFIXES else []
    if glob.has_magic(uri):
        found = sorted(Path(p) for p in glob.glob(uri) if Path(p).suffix.lower() in IMAGE_SUFFIXES)  # noqa: PTH207  # patterns may be absolute
        if not found:
            raise SourceError(f"no image matches {uri} ({', '.join(IMAGE_SUFFIXES)})")
        return found
    raise SourceError(
        f"no source at {uri}; give a camera index, a URL, a file, a folder or a pattern"
    )


def _read_images(paths: list[Path]) -> Iterator[Captured]:
    for index, path in enumerate(paths):
        image = read_image(path)
        yield Captured(
            index=index,
            name=path.stem,
            time_s=index / _IMAGES_FPS,
            at=time.perf_counter(),
            image=image,
        )


def _draw_scenes() -> Iterator[Captured]:
    for index in itertools.count():
        drawn = scene(LIVE_SEED, index)
        yield Captured(
            index=index,
            name=f"{index:06d}",
            time_s=index / FPS,
            at=time.perf_counter(),
            image=drawn.image,
            truth=drawn.mask,
        )


def _is_file(url: str) -> bool:
    """Whether a web address is a video with an end, by its ending: asking it would use it up."""
    return Path(urlsplit(url).path).suffix.lower() in _VIDEO_SUFFIXES


@contextmanager
def _capture(uri: str | int, name: str) -> Iterator[Any]:
    """An OpenCV capture that gives frames, released at the end."""
    cv2 = import_opencv(f"reading {name}")
    device = cv2.VideoCapture(uri)
    try:
        if not device.isOpened():
            raise SourceError(_cannot_open(uri, name))
        yield device
    finally:
        device.release()


def _without_password(url: str) -> str:
    """A URL as it may be shown and logged."""
    return re.sub(r"(?<=://)[^/@]*@", "***@", url)


def _cannot_open(uri: str | int, name: str) -> str:
    if isinstance(uri, int):
        return f"camera {uri} cannot be opened; is it connected, and not in use by another program?"
    if uri.startswith(_STREAM_SCHEMES):
        return f"stream {name} cannot be opened; is the address right, and the sender running?"
    return f"{uri} cannot be opened as a video; is it whole, and its codec known to this OpenCV?"


@contextmanager
def _live(open_: Callable[[], Any], uri: str | int, name: str, retry: Retry) -> Iterator[Source]:
    first = open_()
    if not first.isOpened():
        first.release()
        raise SourceError(_cannot_open(uri, name))
    device = LiveDevice(name, first, open_, retry)
    try:
        yield Source(
            name=_as_opened(first, uri, name),
            frames=_read_live(device),
            fps=_frames_per_second(first),
            length=None,
            live=True,
            stop=device.stop,
        )
    finally:
        device.release()


def _open_camera(index: int, options: CameraOptions) -> Any:  # noqa: ANN401  # cv2.VideoCapture
    """MJPG is asked for first: uncompressed, USB 2 carries 30 small frames a second at most."""
    cv2 = import_opencv(f"reading camera {index}")
    device = cv2.VideoCapture(index)
    if device.isOpened():
        device.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG"))
        wanted = (
            (cv2.CAP_PROP_FRAME_WIDTH, options.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, options.height),
            (cv2.CAP_PROP_FPS, options.fps),
            (cv2.CAP_PROP_BUFFERSIZE, 1),  # a driver's queue holds old frames
        )
        for prop, value in wanted:
            if value is not None:
                device.set(prop, value)
    return device


def _open_stream(url: str, name: str) -> Any:  # noqa: ANN401  # as above
    """With time limits, and decoded by one thread.

    FFmpeg waits half a minute for a sender that is gone. Its decoder holds back a frame for each
    further thread: two made a 25 fps stream 40 ms older (tests/runtime/test_endurance.py reads it
    from the picture), and it takes one for each core.
    """
    cv2 = import_opencv(f"reading {name}")
    asked = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _PATIENCE_MS]
    asked += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _PATIENCE_MS]
    if hasattr(cv2, "CAP_PROP_N_THREADS"):  # an older OpenCV refuses what it does not know
        asked += [cv2.CAP_PROP_N_THREADS, 1]
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, asked)


def _open_gstreamer(pipeline: str) -> Any:  # noqa: ANN401  # as above
    cv2 = import_opencv("reading a GStreamer pipeline")
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise SourceError(
            "this OpenCV was built without GStreamer; a Jetson's own has it: make it visible with "
            "python3 -m venv --system-site-packages, and run: edgeseg doctor"
        )
    return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)


def _as_opened(device: Any, uri: str | int, name: str) -> str:  # noqa: ANN401  # as above
    """A camera's name with what it gives, read back: it may differ from what was asked for."""
    if not isinstance(uri, int):
        return name
    cv2 = import_opencv(f"reading {name}")
    code = int(device.get(cv2.CAP_PROP_FOURCC))
    kind = "".join(chr(code >> shift & 0x7F) for shift in (0, 8, 16, 24)).strip("\0 ")
    width, height = (
        int(device.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    rate = _frames_per_second(device)
    return f"{name} ({width}x{height}, {rate:g} a second, {kind or 'format unknown'})"


def _read_live(device: LiveDevice) -> Iterator[Captured]:
    start = time.perf_counter()
    for index, image in enumerate(device.images()):
        now = time.perf_counter()
        yield Captured(index=index, name=f"{index:06d}", time_s=now - start, at=now, image=image)


def _video(device: Any, name: str) -> Source:  # noqa: ANN401  # as above
    cv2 = import_opencv(f"reading {name}")
    fps = _frames_per_second(device)
    length = int(device.get(cv2.CAP_PROP_FRAME_COUNT))
    return Source(
        name=name,
        frames=_read_video(device, name, fps),
        fps=fps,
        length=length if length > 0 else None,
    )


def _read_video(device: Any, name: str, fps: float) -> Iterator[Captured]:  # noqa: ANN401  # as above
    index = 0
    while True:
        arrived, image = device.read()
        if not arrived:
            break
        yield Captured(
            index=index,
            name=f"{index:06d}",
            time_s=index / fps,
            at=time.perf_counter(),
            image=image,
        )
        index += 1
    if index == 0:
        raise SourceError(f"{name} holds no frame that this OpenCV can decode")


def _frames_per_second(device: Any) -> float:  # noqa: ANN401  # as above
    cv2 = import_opencv("reading frames")
    fps = float(device.get(cv2.CAP_PROP_FPS))
    return fps if 0 < fps < 1000 else _UNKNOWN_FPS  # some drivers answer 0 or 90000
