"""Cameras, streams, videos and images as frames. Whatever happens, the device is released.

0                          a camera by its index
rtsp://... http://...      a network stream
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.demo import DEMO, FPS, scene
from edgeseg.demo.splits import LIVE_SEED
from edgeseg.errors import SourceError
from edgeseg.images import IMAGE_SUFFIXES, read_image
from edgeseg.labels import Labels, known_labels
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.runtime.opencv import import_opencv

__all__ = ["Captured", "Source", "open_source"]

_STREAM_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")


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

    A `live` one goes on whether or not its frames are taken, so the newest counts.
    `labels` tell what the ids of the frames' `truth` mean; None where they have none.
    """

    name: str
    frames: Iterator[Captured]
    fps: float
    length: int | None
    labels: Labels | None = None
    live: bool = False


@contextmanager
def open_source(uri: str | int) -> Iterator[Source]:
    """Open a camera by index, a stream by URL, or files by path or pattern.

    Raises:
        SourceError: it is not there, or cannot be read. Later, while walking: it broke off.
        MissingPackageError: a camera, stream or video, and no OpenCV.
    """
    if isinstance(uri, int):
        with _capture(uri, f"camera {uri}") as device:
            yield _live(device, f"camera {uri}")
    elif uri == DEMO:
        labels = known_labels("camvid")
        yield Source(name=uri, frames=_draw_scenes(), fps=FPS, length=None, labels=labels)
    elif uri.startswith(_STREAM_SCHEMES):
        name = _without_password(uri)
        with _capture(uri, name) as device:
            yield _live(device, name)
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
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
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


def _live(device: Any, name: str) -> Source:  # noqa: ANN401  # cv2.VideoCapture, untyped before 4.9
    fps = _frames_per_second(device)
    return Source(name=name, frames=_read_live(device, name), fps=fps, length=None, live=True)


def _read_live(device: Any, name: str) -> Iterator[Captured]:  # noqa: ANN401  # as above
    start = time.perf_counter()
    index = 0
    while True:
        arrived, image = device.read()
        now = time.perf_counter()
        if not arrived:
            raise SourceError(f"{name} gave no more frames after {index}; is it still connected?")
        yield Captured(index=index, name=f"{index:06d}", time_s=now - start, at=now, image=image)
        index += 1


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
