"""Writes overlays as pictures: of exactly one frame, or of every frame into a folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from edgeseg.errors import SinkError
from edgeseg.files.signature import SIGNATURE
from edgeseg.pixels import Bgr
from edgeseg.progress import Say
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.folder import FolderSink
from edgeseg.runtime.sinks.partial import give_name, name_partial
from edgeseg.text import explain

__all__ = ["PictureSink", "open_overlay_sink"]

_SOFTWARE: Final = 305  # EXIF's tag


def open_overlay_sink(folder: Path, overlay: Overlay, say: Say) -> FolderSink:
    """Open a sink that writes every frame's overlay; `say` hears of an earlier run's files."""

    def write(result: Result, path: Path) -> None:
        _write(overlay.show(result), path)

    return FolderSink(folder, "overlay", write, beside={}, say=say)


class PictureSink:
    """Writes a temporary picture beside the final file."""

    def __init__(self, path: Path, overlay: Overlay) -> None:
        self._path = path
        self._partial = name_partial(path)
        self._overlay = overlay
        self._written = False

    def write(self, result: Result, /) -> None:
        """Draw the picture."""
        if self._written:
            raise SinkError(f"{self._path} takes one frame; save a video (.mp4), or add --frames 1")
        try:
            _write(self._overlay.show(result), self._partial)
        except OSError as error:
            self.discard()
            raise SinkError(f"{self._path} cannot be written: {explain(error)}") from None
        self._written = True

    def finish(self) -> Path | None:
        """Give the picture its final name."""
        if not self._written:
            return None
        return give_name(self._partial, self._path)

    def discard(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)


def _write(drawn: Bgr, path: Path) -> None:
    from PIL import Image

    picture = Image.fromarray(drawn[:, :, ::-1].copy())
    about = picture.getexif()
    about[_SOFTWARE] = SIGNATURE
    # PNG level 1, as for masks.
    picture.save(path, exif=about, compress_level=1)
