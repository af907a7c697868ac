"""Gathers a calibration set from a camera, a stream, a video or a folder into a folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Final

from edgeseg.calibration.folder import new_folder
from edgeseg.calibration.pictures import ImageFile
from edgeseg.calibration.sets import CalibrationSet, keep_frames
from edgeseg.data_rules import ValueRange
from edgeseg.demo import DEMO
from edgeseg.errors import SourceError
from edgeseg.pixels import Bgr
from edgeseg.progress import SILENT, Progress, begin
from edgeseg.runtime.sources import Source, open_source
from edgeseg.runtime.sources.address import read_name
from edgeseg.runtime.sources.live.limit import stop_after
from edgeseg.runtime.sources.options import Retry
from edgeseg.text import join_reasons

__all__ = ["gather"]

# How long to watch a source without an end when the user gives no time.
ENDLESS_S: Final = 60.0

Ending = Callable[[Callable[[], None]], AbstractContextManager[object]]


def gather(
    uri: str | int,
    folder: Path,
    *,
    count: int,
    seconds: float | None,
    value_range: ValueRange | None = None,
    progress: Progress = SILENT,
    ending: Ending = lambda _end: nullcontext(),
) -> CalibrationSet:
    """Watch a source to its end, or for `seconds`, and keep `count` varied frames.

    Without `seconds`, a source that has no end is watched for a minute, and `progress` says so.

    `value_range` says which values of images of more than 8 bits become 0 and 255.

    `ending` receives a function; calling that function within the context ends the watching. A
    camera or stream that is lost ends the watching too, and `progress` says so. Any other failure
    leaves nothing in the folder.

    Raises:
        SourceError: the source cannot be read, or the folder is not empty.
        BusyError: another process writes the folder.
        CalibrationError: the source gave no frame.
    """
    ended = threading.Event()
    uri = read_name(uri)
    with (
        new_folder(folder, uri, say=progress.say) as partial,
        open_source(uri, retry=Retry(say=progress.say), value_range=value_range) as source,
    ):

        def end() -> None:
            ended.set()
            source.stop()

        if seconds is None and (source.live or uri == DEMO):
            seconds = ENDLESS_S
            progress.say(
                f"{source.name} has no end: watched for {seconds:g} s; --seconds watches longer"
            )
        with ending(end), stop_after(seconds, [source], ended):
            frames = _watch(source, seconds, progress, ended)
            chosen = keep_frames(frames, partial, count=count, progress=progress)
    pictures = tuple(ImageFile(folder / f"{picture.name}.png") for picture in chosen.pictures)
    return replace(chosen, source=str(folder), pictures=pictures)


def _watch(
    source: Source,
    seconds: float | None,
    progress: Progress,
    ended: threading.Event,
) -> Iterator[Bgr]:
    step = begin(progress, "watching")
    begun = time.monotonic()
    seen = 0
    try:
        for captured in source.frames:
            yield captured.image
            seen += 1
            step()
            over = seconds is not None and time.monotonic() - begun >= seconds
            if over or ended.is_set():
                return
    except SourceError as error:
        if not (source.live and seen):
            raise
        progress.say(join_reasons((f"warning: {error}", "what it gave is kept")))
