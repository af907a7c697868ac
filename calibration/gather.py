"""A calibration set from a camera, a stream, a video or a folder, as a folder of images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgeseg.calibration.sets import CalibrationSet, keep_frames
from edgeseg.errors import SourceError
from edgeseg.pixels import Bgr
from edgeseg.runtime.sources import Source, open_source

__all__ = ["gather"]


def gather(
    uri: str | int,
    folder: Path,
    *,
    count: int,
    seconds: float | None,
    advance: Callable[[], None],
) -> CalibrationSet:
    """Watch a source to its end, or `seconds`, or Ctrl-C, and keep the frames that are worth it.

    Raises:
        SourceError: the source cannot be read, or the folder is not empty.
        CalibrationError: there was no frame.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SourceError(f"{folder} exists and is not an empty folder; choose another with -o")
    with open_source(uri) as source:
        if source.length is None and seconds is None:
            seconds = 60.0  # a live source has no end
        return keep_frames(_watched(source, seconds, advance), folder, count=count)


def _watched(source: Source, seconds: float | None, advance: Callable[[], None]) -> Iterator[Bgr]:
    begun = time.monotonic()
    try:
        for captured in source.frames:
            yield captured.image
            advance()
            if seconds is not None and time.monotonic() - begun >= seconds:
                return
    except KeyboardInterrupt:
        return  # the usual way to stop a camera; what was kept stays
