"""Reads color images and masks, and writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SourceError
from edgeseg.files.whole import write_whole
from edgeseg.images.decoding import Decoded, decode
from edgeseg.labels import Rgb
from edgeseg.pixels import Bgr, ClassMap

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "CONVERSIONS",
    "IMAGE_SUFFIXES",
    "ROTATED",
    "list_files",
    "read_and_convert",
    "read_image",
    "read_mask",
    "read_painted_mask",
    "write_image",
    "write_mask",
]

IMAGE_SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

ROTATED: Final = "rotated by its EXIF tag"
# The ways in which an image is changed to become 8-bit BGR, in the order in which they are named.
CONVERSIONS: Final = ("gray", "alpha", "16-bit", "CMYK", "palette", ROTATED)

_HIGHEST_ID: Final = 65535

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


def read_mask(path: Path) -> ClassMap:
    """Read class ids, (H, W) uint8 or uint16, from an image, upright by its EXIF tag.

    The image is gray or has a palette, whose index is the id, whatever its color. 1-bit images hold
    the ids 0 and 1.

    Raises:
        SourceError: the file is missing, empty, damaged, or an image that cannot hold class ids.
    """
    return read_painted_mask(path)[0]


def read_painted_mask(path: Path) -> tuple[ClassMap, Mapping[int, Rgb]]:
    """Read ids as `read_mask` does, and the color of each id that occurs, if there is a palette.

    Raises:
        SourceError: see `read_mask`.
    """
    found = _decode(path)
    fault = _explain_no_mask(found)
    if fault:
        raise SourceError(f"{path} {fault}")
    mask = np.asarray(found.image)
    highest = int(mask.max(initial=0))
    if highest > _HIGHEST_ID or mask.min(initial=0) < 0:
        raise SourceError(f"{path} holds ids outside 0 to {_HIGHEST_ID}; is it a mask?")
    return mask.astype(np.uint8 if highest <= 255 else np.uint16), _read_colors(found.image, mask)


def _read_colors(image: Image.Image, mask: ClassMap) -> Mapping[int, Rgb]:
    """The color of each id in a mask; none if the image has no palette."""
    if image.mode != "P":
        return {}
    palette = image.getpalette() or []
    return {
        own: (palette[3 * own], palette[3 * own + 1], palette[3 * own + 2])
        for own in np.flatnonzero(np.bincount(mask.ravel())).tolist()
        if 3 * own + 2 < len(palette)
    }


def write_image(image: Bgr, path: Path) -> None:
    """8-bit BGR pixels, (H, W, 3), as a PNG. The whole file or none.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    from PIL import Image

    with write_whole(path) as partial:
        rgb = np.ascontiguousarray(image[:, :, ::-1])
        Image.fromarray(rgb).save(partial, format="PNG", compress_level=1)


def write_mask(
    mask: ClassMap,
    path: Path,
    *,
    palette: Sequence[Rgb] | None = None,
    software: str | None = None,
) -> None:
    """Write class ids, (H, W), as a PNG of mode L, or I;16 for more than 256 classes.

    With a `palette`, up to 256 classes are mode P: viewers show the colors, and a pixel is still an
    id. `software` is kept in the file as the name of the program that wrote it. The file is
    written whole or not at all.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    image = Image.fromarray(mask)
    if palette is not None and mask.dtype == np.uint8:
        # All 256 entries: with fewer, Pillow packs several ids into a byte.
        colors = np.zeros((256, 3), np.uint8)
        colors[: len(palette)] = palette[:256]
        image.putpalette(colors.tobytes())
    about = PngInfo()
    if software is not None:
        about.add_text("Software", software)
    with write_whole(path) as partial:
        # Level 1: a third of the time of the default, for files a tenth larger.
        image.save(partial, format="PNG", compress_level=1, pnginfo=about)


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


def _explain_no_mask(found: Decoded) -> str | None:
    """Say why a decoded image cannot hold class ids; None if it can."""
    mode = found.image.mode
    if mode not in {"1", "L", "P"} and not _is_deep_gray(found.image):
        return f"is a {mode} image; a mask holds one class id a pixel (mode L, P, I;16 or 1)"
    if found.format in {"JPEG", "MPO"}:
        return "is a JPEG, whose compression changes class ids; make the mask anew, as a PNG"
    if found.raw in {"L;2", "L;4"}:
        return (
            "has 2 or 4 bits a pixel, which mean shades of gray up to white and not class ids; "
            "write the ids as an 8-bit PNG"
        )
    return None
