"""Writes JSON lines: each frame's index, name and time, and the share of every class.

A frame that has the mask of an earlier one is marked `"reused": true`.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from edgeseg.errors import SinkError
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.partial import give_name, name_partial
from edgeseg.text import explain

__all__ = ["JsonlSink", "format_wall", "to_line"]


def to_line(result: Result, legend: Legend, *, source: str | None = None) -> str:
    """Write a frame as a JSON object on one line, with each class's share of its pixels, 0..1.

    A frame of a camera or stream has its time of capture, too. `source` names the source, where
    there are several.
    """
    captured = result.captured
    found = legend.compute_shares(result.segmentation)
    shares = {name: round(share, 6) for name, share in found.items()}
    return json.dumps(
        {
            **({} if source is None else {"source": source}),
            "index": captured.index,
            "name": captured.name,
            "time_s": round(captured.time_s, 6),
            **({} if captured.wall_s is None else {"wall": format_wall(captured.wall_s)}),
            "shares": shares,
            **({"reused": True} if result.reused else {}),
        }
    )


def format_wall(wall_s: float) -> str:
    """Write seconds since 1970 as ISO 8601 in UTC, rounded down to milliseconds."""
    at = datetime.fromtimestamp(wall_s, timezone.utc)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonlSink:
    """Writes a temporary file beside the final one; for `-`, writes to standard output."""

    def __init__(self, target: str, legend: Legend, *, source: str | None = None) -> None:
        self._legend = legend
        self._source = source
        self._path = None if target == "-" else Path(target)
        self._file: BinaryIO = sys.stdout.buffer
        self._whole = 0
        if self._path is not None:
            if self._path.is_dir():
                raise SinkError(f"{target} cannot be written: it is a folder; name a file in it")
            self._partial = name_partial(self._path)
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._partial.open("wb", buffering=0)
            except OSError as error:
                raise SinkError(f"{target} cannot be written: {explain(error)}") from None

    def write(self, result: Result, /) -> None:
        """Write one line and flush it at once, for readers that follow the file."""
        text = to_line(result, self._legend, source=self._source)
        line = f"{text}\n".encode()
        try:
            written = self._file.write(line)
            self._file.flush()
        except BrokenPipeError:
            # Python would write buffered text again at the process's end, and fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SinkError("stdout cannot be written: whoever read it went away") from None
        except OSError as error:
            raise SinkError(
                f"{self._path or 'stdout'} cannot be written: {explain(error)}"
            ) from None
        if written < len(line):
            raise SinkError(f"{self._path} cannot be written: {os.strerror(errno.ENOSPC)}")
        self._whole += len(line)

    def finish(self) -> Path | None:
        """Give the file its final name."""
        if self._path is None:
            return None
        try:
            self._file.truncate(self._whole)  # removes a line that a full disk cut short
            self._file.close()
        except OSError as error:
            raise SinkError(f"{self._path} cannot be written: {explain(error)}") from None
        return give_name(self._partial, self._path)

    def discard(self) -> None:
        """Remove the temporary file."""
        if self._path is not None:
            with suppress(OSError):  # on a full disk closing fails, too
                self._file.close()
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)
