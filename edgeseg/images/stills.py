"""Reads color images, and writes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SourceError
from edgeseg.files.whole import write_whole
from edgeseg.images.decoding import Decoded, decode
from edgeseg.pixels import Bgr

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "CONVERSIONS",
    "IMAGE_SUFFIXES",
    "ROTATED",
    "list_files",
    "read_and_convert",
    "read_image",
    "write_image",
]

IMAGE_SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

ROTATED: Final = "rotated by its EXIF tag"
# The ways in which an image is changed to become 8-bit BGR, in the order in which they are named.
CONVERSIONS: Final = ("gray", "alpha", "16-bit", "CMYK", "palette", ROTATED)

# Pillow's modes that can become 8-bit RGB in more than one way.
_FOREIGN: Final = {"F": "floating-point", "LAB": "CIELAB"}


def list_files(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """List a folder's files with one of the endings, sorted by name.

    Hidden files are left out: they are no pictures (macOS puts a ._NAME beside each NAME).
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def read_image(path: Path) -> Bgr:
    """Read an image as a camera would deliver it: (H, W, 3) uint8 BGR, upright by its EXIF tag.

    Pillow decodes it, as in Hugging Face, so that accuracy does not depend on which OpenCV is
    installed.

    Raises:
        SourceError: the file is missing, empty, damaged, not an image, or has no known scale to
            8 bits.
    """
    return read_and_convert(path)[0]


def read_and_convert(path: Path) -> tuple[Bgr, tuple[str, ...]]:
    """Read an image as `read_image` does, and say which of `CONVERSIONS` that took.

    Alpha is dropped, not blended; of 16 bits the upper 8 are kept.

    Raises:
        SourceError: see `read_image`.
    """
    found = _decode(path)
    return _to_bgr(found, path), _list_conversions(found)


def write_image(image: Bgr, path: Path) -> None:
    """8-bit BGR pixels, (H, W, 3), as a PNG. The whole file or none.

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
        raise SourceError(
            f"{path} is a 16-bit TIFF of a kind that Pillow misreads (white is 0, or the channels "
            f"are stored apart); save it as 8-bit RGB"
        )
    return found


def _to_bgr(found: Decoded, path: Path) -> Bgr:
    """Turn a decoded image into (H, W, 3) uint8 BGR."""
    image = found.image
    if image.mode in _FOREIGN:
        raise SourceError(
            f"{path} holds {_FOREIGN[image.mode]} pixels, which have no one way to 8 bits; save it "
            f"as 8-bit RGB"
        )
    if _is_deep_gray(image):  # Pillow would clip it to 255, not scale it
        gray = _take_upper_bits(np.asarray(image), 12 if found.raw == "I;12" else 16, path)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode == "P":
        image = image.convert("RGBA")  # straight to RGB, Pillow warns where colors are transparent
    return np.asarray(image.convert("RGB"))[:, :, ::-1].copy()


def _is_deep_gray(image: Image.Image) -> bool:
    """Whether it has 16 bits a pixel and no color.

    Mode I;16, or I in TIFFs and before Pillow 10.3.
    """
    return image.mode.startswith("I")


def _take_upper_bits(values: npt.NDArray[Any], bits: int, path: Path) -> npt.NDArray[np.uint8]:
    """Take the upper 8 bits of a gray image, (H, W); refuse values whose scale is not known."""
    full, highest = (1 << bits) - 1, int(values.max(initial=0))
    if values.min(initial=0) < 0 or highest > full:
        raise SourceError(
            f"{path} holds gray values outside 0 to {full}, whose scale to 8 bits is not known; "
            f"save it as 8-bit"
        )
    shift = bits - 8
    if 0 < highest < 1 << shift:
        raise SourceError(
            f"{path} holds gray values up to {highest} of {full} and would be black in 8 bits; "
            f"scale them, or save it as 8-bit"
        )
    return (values >> shift).astype(np.uint8)


def _list_conversions(found: Decoded) -> tuple[str, ...]:
    """List those of `CONVERSIONS` that a decoded image needs."""
    image, raw = found.image, found.raw
    deep = ";16" in raw and not raw.startswith("BGR")  # BGR;16 is a BMP's 16 bits for all three
    taken = {
        # LA;16B is decoded as RGBA.
        "gray": _is_deep_gray(image) or image.mode in {"1", "L", "LA"} or raw == "LA;16B",
        "alpha": image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info,
        "16-bit": _is_deep_gray(image) or deep,
        "CMYK": image.mode == "CMYK",
        "palette": image.mode in {"P", "PA"},
        ROTATED: found.turned,
    }
    return tuple(name for name in CONVERSIONS if taken[name])
