"""Masks as PNG files of class ids in the colors of their classes, one a frame, and a legend."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from edgeseg.errors import SinkError
from edgeseg.images import write_mask
from edgeseg.labels import Labels
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.partial import give_name, partial_of
from edgeseg.signature import SIGNATURE
from edgeseg.text import because

__all__ = ["LEGEND", "MaskSink"]

LEGEND: Final = "legend.json"


class MaskSink:
    """Fills a folder beside the final one; `finish` moves the files over.

    They take the places of masks of an earlier run, and of no other file.
    """

    def __init__(self, folder: Path, labels: Labels) -> None:
        folder = folder.resolve()  # `.` has no name to put a folder beside
        if folder.exists() and not folder.is_dir():
            raise SinkError(f"masks cannot go to {folder}: it is a file, give a folder")
        self._folder = folder
        self._labels = labels
        self._partial = partial_of(folder)
        self._any = False
        try:
            self._partial.mkdir(parents=True)
        except OSError as error:
            raise SinkError(f"masks cannot go to {folder}: {because(error)}") from None

    def write(self, result: Result, /) -> None:
        """Write `NAME.png`: the image's own name, or the frame's number."""
        path = self._partial / f"{result.captured.name}.png"
        try:
            write_mask(result.mask, path, palette=self._labels.palette, software=SIGNATURE)
        except OSError as error:
            raise SinkError(
                f"mask {path.name} cannot be written to {self._folder}: {because(error)}"
            ) from None
        self._any = True

    def finish(self) -> Path | None:
        """Move all masks into the folder, and the legend where there are any."""
        try:
            if self._any:
                (self._partial / LEGEND).write_text(_legend(self._labels), "utf-8")
            self._folder.mkdir(exist_ok=True)
            for path in self._partial.iterdir():
                give_name(path, self._folder / path.name)
        except OSError as error:
            raise SinkError(f"masks cannot go to {self._folder}: {because(error)}") from None
        self.discard()
        return self._folder if self._any else None

    def discard(self) -> None:
        """Remove the folder beside."""
        shutil.rmtree(self._partial, ignore_errors=True)


def _legend(labels: Labels) -> str:
    """What each id means and how it is shown, as JSON with a class on a line."""
    known = zip(labels.classes, labels.palette, strict=True)
    lines = [
        json.dumps({"id": index, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)})
        for index, (name, color) in enumerate(known)
    ]
    software = json.dumps(SIGNATURE)
    return f'{{"software": {software}, "classes": [\n' + ",\n".join(lines) + "\n]}\n"
