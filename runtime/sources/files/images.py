"""Gives images as frames: one image, a folder of images, or those that match a pattern."""

from __future__ import annotations

import glob
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgeseg.data_rules import ValueRange
from edgeseg.demo import DEMO
from edgeseg.errors import SourceError
from edgeseg.images import (
    IMAGE_SUFFIXES,
    list_files,
    read_and_convert,
)
from edgeseg.images.doubts import DoubtTeller
from edgeseg.progress import Say, ignore
from edgeseg.redact import redact
from edgeseg.runtime.sources.files.sequences import is_sequence, list_sequence
from edgeseg.runtime.sources.source import Captured

__all__ = ["IMAGES_FPS", "list_images", "read_images"]

# The rate at which a folder of images plays when it is saved as a video.
IMAGES_FPS: Final = 10.0
_SUFFIXES: Final = ", ".join(IMAGE_SUFFIXES)


def list_images(uri: str) -> list[Path]:
    """List the images that a path or pattern names; none for a video."""
    path = Path(uri)
    try:
        path.exists()
    except OSError as error:  # a name that is too long, or a folder that is closed
        raise SourceError(f"source {redact(uri)} cannot be read: {error.strerror}") from None
    if path.is_dir():
        found = list_files(path)
        if not found:
            raise SourceError(
                f"folder {uri} holds no images ({_SUFFIXES}); name one that does, or a pattern in "
                f"quotes for its subfolders: '{uri.rstrip('/')}/*/*.png'"
            )
        return found
    if path.is_file():
        return [path] if path.suffix.lower() in IMAGE_SUFFIXES else []
    if is_sequence(uri):
        return list_sequence(uri)
    if glob.has_magic(uri):
        found = sorted(Path(p) for p in glob.glob(uri) if Path(p).suffix.lower() in IMAGE_SUFFIXES)  # noqa: PTH207  # patterns may be absolute
        if not found:
            raise SourceError(f"no image matches {redact(uri)} ({_SUFFIXES}); is it right?")
        return found
    raise SourceError(
        f"no source at {redact(uri)}; give a file, a folder, a pattern, a URL, a camera or {DEMO}; "
        f"edgeseg sources lists the cameras"
    )


def read_images(
    paths: list[Path], value_range: ValueRange | None = None, *, say: Say = ignore
) -> Iterator[Captured]:
    """Read each image; the frame's name is the file's stem.

    `value_range` says which values of deep images become 0 and 255. `say` hears of the first image
    of each kind of which only a part is read, or whose colors or depth are guessed.
    """
    doubts = DoubtTeller(say)
    for index, path in enumerate(paths):
        image, conversions = read_and_convert(path, value_range)
        doubts.see(path, conversions)
        yield Captured(
            index=index,
            name=path.stem,
            time_s=index / IMAGES_FPS,
            at=time.perf_counter(),
            image=image,
            path=path,
        )
