"""Opens image files with Pillow, whatever their size, and loads the reader of HEIC."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from edgeseg.errors import SourceError

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = ["lift_limit", "open_image"]

# The main brand of an ISO media file, bytes 8 to 12 (ISO/IEC 23008-12, annex B; AVIF, section 6).
_HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS: Final = (b"avif", b"avis")


class _Lifted:
    """How many readers have lifted Pillow's limit, and what it was before the first of them."""

    lock = threading.Lock()
    readers = 0
    limit: int | None = None


@contextmanager
def lift_limit(pixels: float = math.inf) -> Iterator[None]:
    """Let Pillow read an image of so many pixels for a moment, and without a warning.

    `edgeseg.images.sizes` says which images are read.
    """
    # Pillow's limit is one number for the whole process. Its readers of TIFF, WebP and MPO compare
    # with it, too, so nothing but the number helps. Raised for good, it would be gone for the rest
    # of a program that uses edgeseg, and a filter of warnings is no safer with threads. So it is
    # lifted only while a header is read, and while an image above it is decoded. The count keeps
    # one reader from restoring it under another. What another part of the program opens at that
    # moment, it opens without a limit.
    from PIL import Image

    with _Lifted.lock:
        limit = _Lifted.limit if _Lifted.readers else Image.MAX_IMAGE_PIXELS
        lifts = limit is not None and pixels > limit
        if lifts:
            _Lifted.limit, Image.MAX_IMAGE_PIXELS = limit, None
            _Lifted.readers += 1
    try:
        yield
    finally:
        with _Lifted.lock:
            if lifts:
                _Lifted.readers -= 1
                if not _Lifted.readers:
                    Image.MAX_IMAGE_PIXELS = _Lifted.limit


def open_image(file: BinaryIO) -> ImageFile.ImageFile:
    """Read a file's header; `load` decodes its pixels later.

    Raises:
        SourceError: it is HEIC or AVIF, and what reads it is not installed. The message goes
            behind the path.
        PIL.UnidentifiedImageError: no reader knows it.
    """
    from PIL import Image, UnidentifiedImageError

    with lift_limit():
        try:
            return Image.open(file)
        except KeyError as error:  # a TIFF of a compression that Pillow does not know
            raise UnidentifiedImageError(str(error)) from None
        except UnidentifiedImageError:
            if not _load_reader(file):
                raise
            return Image.open(file)


def _load_reader(file: BinaryIO) -> bool:
    """Load the reader of HEIC, which Pillow does not bring; False if the file is something else."""
    file.seek(4)
    kind, brand = file.read(4), file.read(4)
    if kind != b"ftyp" or brand not in (*_HEIC_BRANDS, *_AVIF_BRANDS):
        return False
    if brand in _AVIF_BRANDS:
        raise SourceError("is AVIF, which Pillow reads since 11.3; run: pip install -U pillow")
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise SourceError("is HEIC; to read it, run: pip install pillow-heif") from None
    register_heif_opener()
    return True
