"""Masks as PNG files of class ids, mode L, one a frame."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgeseg.errors import SinkError
from edgeseg.images import write_mask
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.partial import give_name, partial_of
from edgeseg.signature import SIGNATURE
from edgeseg.text import because

__all__ = ["MaskSink"]


class MaskSink:
    """Fills a folder beside the final one; `finish` moves the files over.

    They take the places of masks of an earlier run, and of no other file.
    """

    def __init__(self, folder: Path) -> None:
        folder = folder.resolve()  # `.` has no name to put a folder beside
        if folder.exists() and not folder.is_dir():
            raise SinkError(f"masks cannot go to {folder}: it is a file, give a folder")
        self._folder = folder
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
            write_mask(result.mask, path, software=SIGNATURE)
        except OSError as error:
            raise SinkError(
                f"mask {path.name} cannot be written to {self._folder}: {because(error)}"
            ) from None
        self._any = True

    def finish(self) -> Path | None:
        """Move all masks into the folder."""
        try:
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
