"""Gives a video file as frames, upright and at their own times; always releases the reader."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeseg.errors import SourceError
from edgeseg.machine.opencv import has_opencv, import_opencv
from edgeseg.machine.pyav import import_pyav
from edgeseg.progress import Say
from edgeseg.runtime.events import Event, Tell
from edgeseg.runtime.sources.captures import properties
from edgeseg.runtime.sources.captures.color import describe_color
from edgeseg.runtime.sources.captures.container import read_last_frame_s, read_times
from edgeseg.runtime.sources.captures.pyav import AvCapture
from edgeseg.runtime.sources.captures.rate import read_rate
from edgeseg.runtime.sources.captures.stamps import Stamps
from edgeseg.runtime.sources.captures.turning import make_turner
from edgeseg.runtime.sources.captures.watch import watch_sizes
from edgeseg.runtime.sources.captures.whole import WholeCapture
from edgeseg.runtime.sources.naming import explain_cannot_open
from edgeseg.runtime.sources.source import Captured, Source

__all__ = ["open_capture", "open_video"]


@contextmanager
def open_capture(uri: str | int, name: str) -> Iterator[Any]:
    """Open a capture that gives frames, and release it at the end."""
    device = _open_file(uri, name)
    try:
        if not device.isOpened():
            raise SourceError(explain_cannot_open(uri))
        yield device
    finally:
        device.release()


def _open_file(uri: str | int, name: str) -> Any:  # noqa: ANN401  # cv2.VideoCapture
    """Open a file with PyAV, and with OpenCV where PyAV is absent or cannot read it."""
    device = None if import_pyav() is None else AvCapture(uri)
    if device is not None and (device.isOpened() or not has_opencv()):
        return device
    return import_opencv(f"reading {name}").VideoCapture(uri)


def open_video(
    device: Any,  # noqa: ANN401  # cv2.VideoCapture
    name: str,
    *,
    path: Path | None,
    say: Say,
    tell: Tell,
) -> Source:
    """Make a source of all frames of an opened video, in order, from the first whole one on.

    `path` is given where the video is a file of this machine. `say` receives doubts: unreadable
    times, unusual colors, and a video that ends before the container says. `tell` hears of what
    changes midway.
    """
    fps = read_rate(device)
    length = int(device.get(properties.FRAME_COUNT))
    if device.getBackendName() not in properties.HAS_TIMES:
        say(
            f"{name} is read without FFmpeg, which this OpenCV lacks: its frames are taken for "
            f"{fps:g} a second, evenly spaced and upright; pip install opencv-python-headless"
        )
    color = describe_color(device, name, path)
    if color is not None:
        say(color)
    frames = _read_video(WholeCapture(device, name, tell), name, path=path, say=say, tell=tell)
    return Source(
        name=name,
        frames=watch_sizes(frames, name, tell),
        fps=fps,
        length=length if length > 0 else None,
        last_frame_s=lambda: None if path is None else read_last_frame_s(path),
    )


def _read_video(
    device: Any,  # noqa: ANN401  # as above
    name: str,
    *,
    path: Path | None,
    say: Say,
    tell: Tell,
) -> Iterator[Captured]:
    stamp_of = _make_stamp_reader(device)
    upright = make_turner(device)
    fps = read_rate(device)
    frame_s = 1 / fps
    stamps = Stamps(
        frame_s=frame_s,
        rest=lambda: [] if path is None else read_times(path),
        untimed=lambda: say(
            f"{name} tells no times: its frames are taken for {fps:g} a second, evenly spaced"
        ),
        restarted=lambda before, after: tell(
            Event(
                kind="clock",
                text=f"{name}: its time stamps fall from {before:.3f} to {after:.3f} s; time_s "
                f"counts on",
            )
        ),
    )
    index = 0
    while True:
        arrived, image = device.read()
        if not arrived:
            break
        yield Captured(
            index=index,
            name=f"{index:06d}",
            time_s=stamps.find_time(stamp_of(index)),
            at=time.perf_counter(),
            image=upright(image),
        )
        index += 1
    if index == 0:
        raise SourceError(f"{name} holds no frame that can be decoded here")
    shown_s = stamps.last + stamps.longest_gap
    promised_s = _read_promised_s(device)
    if not stamps.guessed and shown_s + frame_s < promised_s:
        say(
            f"{name} ends {shown_s:.1f} s after its first frame, after {index} frames; it says "
            f"that it lasts {promised_s:.1f} s: is it whole?"
        )


def _make_stamp_reader(device: Any) -> Callable[[int], float]:  # noqa: ANN401  # as above
    """Make a function that gives the stamp, in seconds, of the frame just read.

    Only FFmpeg's stamps are exact. GStreamer's position belongs to another frame, and OpenCV's own
    AVI reader has none.
    """
    if device.getBackendName() in properties.HAS_TIMES:
        return lambda _index: device.get(properties.POSITION_MS) / 1000
    fps = read_rate(device)
    return lambda index: index / fps


def _read_promised_s(device: Any) -> float:  # noqa: ANN401  # as above
    """Read the clip's length in seconds, as the container gives it; 0 where it gives none.

    The container's frame count is often computed from the duration, so it counts no real frames.
    """
    count, fps = device.get(properties.FRAME_COUNT), device.get(properties.FPS)
    return float(count / fps) if count > 0 and fps > 0 else 0.0
