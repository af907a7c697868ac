"""The overlay of exactly one frame, as a picture."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from edgeseg.errors import SinkError
from edgeseg.labels import Labels
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.partial import give_name, partial_of
from edgeseg.signature import SIGNATURE
from edgeseg.text import because

__all__ = ["PictureSink"]

_SOFTWARE: Final = 305  # EXIF's tag


class PictureSink:
    """Writes beside the final file."""

    def __init__(self, path: Path, labels: Labels) -> None:
        self._path = path
        self._partial = partial_of(path)
        self._overlay = Overlay(labels)
        self._written = False

    def write(self, result: Result, /) -> None:
        """Draw the picture."""
        from PIL import Image

        if self._written:
            raise SinkError(f"{self._path} takes one frame; save a video (.mp4), or add --frames 1")
        drawn = self._overlay.draw(result.captured.image, result.mask)
        try:
            picture = Image.fromarray(drawn[:, :, ::-1].copy())
            about = picture.getexif()
            about[_SOFTWARE] = SIGNATURE
            picture.save(self._partial, exif=about)
        except OSError as error:
            self.discard()
            raise SinkError(f"{self._path} cannot be written: {because(error)}") from None
        self._written = True

    def finish(self) -> Path | None:
        """Give the picture its final name."""
        if not self._written:
            return None
        try:
            return give_name(self._partial, self._path)
        except OSError as error:
            raise SinkError(f"{self._path} cannot be written: {because(error)}") from None

    def discard(self) -> None:
        """Remove the file beside."""
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)
