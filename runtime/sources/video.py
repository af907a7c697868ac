"""A video file as frames. Whatever happens, its reader is released."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgeseg.errors import SourceError
from edgeseg.runtime.opencv import import_opencv
from edgeseg.runtime.sources.naming import cannot_open
from edgeseg.runtime.sources.rate import frames_per_second
from edgeseg.runtime.sources.source import Captured, Source

__all__ = ["capture", "video"]


@contextmanager
def capture(uri: str | int, name: str) -> Iterator[Any]:
    """An OpenCV capture that gives frames, released at the end."""
    cv2 = import_opencv(f"reading {name}")
    device = cv2.VideoCapture(uri)
    try:
        if not device.isOpened():
            raise SourceError(cannot_open(uri))
        yield device
    finally:
        device.release()


def video(device: Any, name: str) -> Source:  # noqa: ANN401  # cv2.VideoCapture
    """Every frame of an opened video, in order."""
    cv2 = import_opencv(f"reading {name}")
    fps = frames_per_second(device)
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
