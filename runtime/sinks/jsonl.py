"""JSON lines: for each frame its index, name, time, and the share of every class in it."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import numpy as np

from edgeseg.errors import SinkError
from edgeseg.labels import Labels
from edgeseg.pixels import ClassMap
from edgeseg.runtime.sources import Captured

__all__ = ["JsonlSink", "line_of"]


def line_of(captured: Captured, mask: ClassMap, labels: Labels) -> str:
    """One JSON object on one line. Shares are of the frame's pixels, 0..1, of classes in it."""
    counts = np.bincount(mask.ravel(), minlength=len(labels.classes))
    shares = {
        labels.classes[index]: round(float(counts[index] / mask.size), 6)
        for index in np.flatnonzero(counts)
    }
    return json.dumps(
        {
            "index": captured.index,
            "name": captured.name,
            "time_s": round(captured.time_s, 6),
            "shares": shares,
        }
    )


class JsonlSink:
    """Writes a file beside the final one, or, for `-`, standard output line by line."""

    def __init__(self, target: str, labels: Labels) -> None:
        self._labels = labels
        self._path = None if target == "-" else Path(target)
        self._file: TextIO = sys.stdout
        if self._path is not None:
            if self._path.is_dir():
                raise SinkError(f"{target} cannot be written: it is a folder")
            self._partial = self._path.with_name(self._path.name + ".partial")
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._partial.open("w", encoding="utf-8")
            except OSError as error:
                raise SinkError(f"{target} cannot be written: {error.strerror}") from None

    def write(self, captured: Captured, mask: ClassMap, /) -> None:
        """Write one line and hand it to the system at once, for whoever follows along."""
        try:
            self._file.write(line_of(captured, mask, self._labels) + "\n")
            self._file.flush()
        except BrokenPipeError:
            raise  # the reader went away: the command line ends quietly
        except OSError as error:
            raise SinkError(
                f"{self._path or 'stdout'} cannot be written: {error.strerror}"
            ) from None

    def finish(self) -> None:
        """Give the file its final name."""
        if self._path is None:
            return
        try:
            self._file.close()
            self._partial.replace(self._path)
        except OSError as error:
            self.discard()
            raise SinkError(f"{self._path} cannot be written: {error.strerror}") from None

    def discard(self) -> None:
        """Remove the file beside."""
        if self._path is not None:
            with suppress(OSError):  # a full disk says so again on closing
                self._file.close()
            self._partial.unlink(missing_ok=True)
