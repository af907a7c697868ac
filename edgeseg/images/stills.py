"""Reads color images, and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.data_rules import ValueRange
from edgeseg.errors import FormatError, SourceError
from edgeseg.files.whole import write_whole
from edgeseg.images.decoding import Decoded, decode
from edgeseg.images.deep import (
    SAY_RANGE,
    make_bgr,
    read_deep_samples,
    read_instead_of_pillow,
    take_upper_bits,
)
from edgeseg.images.samples import Samples
from edgeseg.pixels import Bgr

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "BANDS_AS_RGB",
    "CONVERSIONS",
    "FIRST_FRAME",
    "IMAGE_SUFFIXES",
    "PERHAPS_12_BITS",
    "ROTATED",
    "list_files",
    "read_and_convert",
    "read_image",
    "write_image",
]

IMAGE_SUFFIXES: Final = (
    ".avif", ".bmp", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"
)  # fmt: skip

ROTATED: Final = "rotated by its EXIF tag"
FIRST_FRAME: Final = "first of several frames"
BANDS_AS_RGB: Final = "three bands as red, green and blue"
PERHAPS_12_BITS: Final = "perhaps of 12 bits: see --range"
_DEEP: Final = "16-bit"
# The ways in which an image is changed to become 8-bit BGR, in the order in which they are named.
CONVERSIONS: Final = (
    "gray", "alpha", _DEEP, PERHAPS_12_BITS, "CMYK", "palette", BANDS_AS_RGB, ROTATED, FIRST_FRAME
)  # fmt: skip

# Of 16 bits the upper 8 are kept, and of 4096 that is this.
_BRIGHTER_THAN_12_BITS: Final = 4096 >> 8

# Rows at a time: the steps between make copies.
_ROWS: Final = 512
_TWELVE: Final = 12
_SIXTEEN: Final = 16


def list_files(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """List a folder's files with one of the endings, sorted by name.

    Hidden files are left out: they are no pictures (macOS puts a ._NAME beside each NAME).
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def read_image(path: Path, value_range: ValueRange | None = None) -> Bgr:
    """Read an image as a camera would deliver it: (H, W, 3) uint8 BGR, upright by its EXIF tag.

    Pillow decodes it, as in Hugging Face, so that accuracy does not depend on which OpenCV is
    installed. `value_range` says which values of a deep file become 0 and 255.

    Raises:
        SourceError: the file is missing, empty, damaged, not an image, has no known scale to 8
            bits, or needs a package that is not installed.
    """
    return read_and_convert(path, value_range)[0]


def read_and_convert(
    path: Path, value_range: ValueRange | None = None
) -> tuple[Bgr, tuple[str, ...]]:
    """Read an image as `read_image` does, and say which of `CONVERSIONS` that took.

    Alpha is dropped, not blended; of 16 bits the upper 8 are kept if there is no range.

    Raises:
        SourceError: see `read_image`.
    """
    if value_range is not None:
        return _make_bgr(read_deep_samples(path), value_range, path)
    try:
        found = _decode(path)
    except FormatError as error:
        return _question_depth(*_make_bgr(read_instead_of_pillow(path, error), None, path))
    return _question_depth(_to_bgr(found, path), _list_conversions(found))


def _question_depth(image: Bgr, conversions: tuple[str, ...]) -> tuple[Bgr, tuple[str, ...]]:
    """Name an image whose values of 16 bits are all below 4096, which is what 12 bits hold."""
    if _DEEP not in conversions or not 0 < image.max(initial=0) < _BRIGHTER_THAN_12_BITS:
        return image, conversions
    return image, _name_conversions(dict.fromkeys((*conversions, PERHAPS_12_BITS), True))


def write_image(image: Bgr, path: Path) -> None:
    """Write 8-bit BGR pixels, (H, W, 3), as a PNG: the whole file or none.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    from PIL import Image

    with write_whole(path) as partial:
        rgb = np.ascontiguousarray(image[:, :, ::-1])
        Image.fromarray(rgb).save(partial, format="PNG", compress_level=1)


def _decode(path: Path) -> Decoded:
    """Decode a file whose pixels Pillow gives as they are stored."""
    found = decode(path)
    if found.misread:
        raise FormatError(
            f"{path} is a 16-bit TIFF of a kind that Pillow misreads (white is 0, or the channels "
            f"are stored apart); save it as 8-bit RGB"
        )
    return found


def _to_bgr(found: Decoded, path: Path) -> Bgr:
    """Turn a decoded image into (H, W, 3) uint8 BGR."""
    image = found.image
    if image.mode == "LAB":
        raise SourceError(
            f"{path} holds CIELAB pixels, which have no one way to 8 bits; save it as 8-bit RGB"
        )
    if image.mode == "F" or _is_deep_gray(image):  # Pillow would clip it to 255, not scale it
        bits = _TWELVE if found.raw == "I;12" else _SIXTEEN
        return np.repeat(take_upper_bits(np.asarray(image), bits, path)[:, :, None], 3, axis=2)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS):
        rows = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        if rows.mode == "P":
            # Straight to RGB, Pillow warns where colors are transparent.
            rows = rows.convert("RGBA")
        pixels[top : top + _ROWS] = np.asarray(rows.convert("RGB"))[:, :, ::-1]
    if _is_deep_color(found.raw) and not pixels.any():  # Pillow has dropped the lower bits
        raise SourceError(
            f"{path} holds 16-bit values below 256 only and would be black in 8 bits; {SAY_RANGE}"
        )
    return pixels


def _is_deep_color(raw: str) -> bool:
    return ";16" in raw and not raw.startswith("BGR")  # BGR;16 is a BMP's 16 bits for all three


def _is_deep_gray(image: Image.Image) -> bool:
    """Whether an image has 16 bits a pixel and no color.

    Its mode is I;16, or I in TIFFs and before Pillow 10.3.
    """
    return image.mode.startswith("I")


def _make_bgr(
    samples: Samples, value_range: ValueRange | None, path: Path
) -> tuple[Bgr, tuple[str, ...]]:
    storage = samples.storage
    taken = {
        "gray": storage.colors == 1,
        "alpha": storage.channels > storage.colors,
        _DEEP: storage.bits > 8 and value_range is None,
        BANDS_AS_RGB: storage.assumed,
        ROTATED: samples.turned,
        FIRST_FRAME: samples.several,
    }
    return make_bgr(samples, value_range, path), _name_conversions(taken)


def _list_conversions(found: Decoded) -> tuple[str, ...]:
    """List those of `CONVERSIONS` that a decoded image needs."""
    image, raw = found.image, found.raw
    taken = {
        # LA;16B is decoded as RGBA.
        "gray": _is_deep_gray(image) or image.mode in {"1", "L", "LA"} or raw == "LA;16B",
        "alpha": image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info,
        _DEEP: _is_deep_gray(image) or _is_deep_color(raw),
        "CMYK": image.mode == "CMYK",
        "palette": image.mode in {"P", "PA"},
        ROTATED: found.turned,
        FIRST_FRAME: found.several,
    }
    return _name_conversions(taken)


def _name_conversions(taken: Mapping[str, bool]) -> tuple[str, ...]:
    return tuple(name for name in CONVERSIONS if taken.get(name))
