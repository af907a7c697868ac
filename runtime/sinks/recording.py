"""Records overlays as a video that goes on in further files, its segments.

A video has one size. Where the frames of a camera, a stream or a video change theirs, `x.mp4` goes
on as `x.002.mp4`. So every frame keeps its pixels, and no frame is scaled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, TypeAlias

from edgeseg.errors import BusyError, SinkError
from edgeseg.files.signature import is_replaceable
from edgeseg.progress import Say
from edgeseg.runtime.events import Event, Tell
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.partial import reserve
from edgeseg.runtime.sinks.video import VideoFile
from edgeseg.text import explain, list_some

__all__ = ["OpenFile", "RecordingSink", "is_segment"]

OpenFile: TypeAlias = Callable[[Path], VideoFile]

_MOST_SEGMENTS: Final = 9999
_LISTED: Final = 3


class RecordingSink:
    """Writes segments under temporary names; `finish` names all of them.

    A segment that edgeseg wrote in an earlier run is replaced, as the first file is. A name that
    somebody else's file has is passed over.
    """

    def __init__(self, path: Path, open_file: OpenFile, *, tell: Tell, say: Say) -> None:
        self._path = path
        self._open_file = open_file
        self._tell = tell
        self._say = say
        self._number = 1
        self._paths = [path]
        self._files = [open_file(path)]
        self._reserved = ExitStack()

    def write(self, result: Result, /) -> None:
        """Append one frame, to a new segment where the last one cannot take it."""
        misfit = self._files[-1].find_misfit(result)
        if misfit is not None:
            captured = result.captured
            if captured.path is not None:  # images; each may have a size of its own
                raise SinkError(
                    f"{self._path} cannot take {captured.name}: {misfit}; --save FOLDER/ writes a "
                    f"picture for each, of any size"
                )
            self._go_on(misfit, name=captured.name, begins_s=captured.time_s)
        self._files[-1].write(result)

    def finish(self) -> tuple[Path, ...]:
        """Complete the last segment, and give all segments their names.

        Raises:
            LastStepError: a segment does not get its name; the others get theirs.
        """
        try:
            self._files[-1].close()
            finished = [_finish(file) for file in self._files]
        finally:
            self._reserved.close()
        for found in finished:
            if isinstance(found, SinkError):
                raise found
        self._say_kept()
        return tuple(found for found in finished if isinstance(found, Path))

    def discard(self) -> None:
        """Remove all temporary files."""
        for file in self._files:
            file.discard()
        self._reserved.close()

    def _go_on(self, why: str, *, name: str, begins_s: float) -> None:
        """Complete the last segment, and open the next one for the frame `name`."""
        self._files[-1].close()
        path = self._reserve_next()
        self._files.append(self._open_file(path))
        text = (
            f"{self._paths[-1]} goes on as {path.name} from frame {name} on, {begins_s:.3f} s "
            f"after the first: {why}"
        )
        self._paths.append(path)
        self._tell(Event(kind="segment", text=text))

    def _reserve_next(self) -> Path:
        """Lock the next name that is free or an earlier run's, until the end."""
        while self._number < _MOST_SEGMENTS:
            self._number += 1
            path = _name_segment(self._path, self._number)
            try:
                if is_replaceable(path):
                    self._reserved.enter_context(reserve(path.resolve(), path, say=self._say))
                    return path
            except (BusyError, SinkError):
                continue  # another run writes it, or somebody else's file has the temporary name
            except OSError as error:
                raise SinkError(f"{path} cannot be written: {explain(error)}") from None
        raise SinkError(f"{self._path} has {_MOST_SEGMENTS} segments; begin another recording")

    def _say_kept(self) -> None:
        """Say which segments of an earlier run lie beside the new ones."""
        made = {path.name for path in self._paths}
        kept: list[str] = []
        with suppress(OSError):
            beside = [path for path in self._path.parent.iterdir() if path.name not in made]
            segments = [path for path in beside if is_segment(path, self._path)]
            kept = sorted(path.name for path in segments if is_replaceable(path))
        if kept:
            self._say(f"of an earlier run, kept beside the new: {list_some(kept, _LISTED)}")


def _finish(file: VideoFile) -> Path | SinkError | None:
    """Finish a file; return what keeps it from its name, so that the others get theirs."""
    try:
        return file.finish()
    except SinkError as error:
        return error


def is_segment(path: Path, recording: Path) -> bool:
    """Tell by its name whether `path` may be a further segment of a recording."""
    stem, ending = re.escape(recording.stem), re.escape(recording.suffix)
    named = re.fullmatch(rf"{stem}\.[0-9]{{3,4}}(\.partial(-[0-9]+)?)?{ending}", path.name)
    return named is not None and path.parent == recording.parent


def _name_segment(path: Path, number: int) -> Path:
    """Name `x.002.mp4` for the second segment of `x.mp4`."""
    return path.with_name(f"{path.stem}.{number:03d}{path.suffix}")
