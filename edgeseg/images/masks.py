"""Reads and writes masks: class ids or colors, one value a pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SourceError
from edgeseg.files.whole import write_whole
from edgeseg.images.arrays import read_array
from edgeseg.images.decoding import Decoded, decode
from edgeseg.labels import Rgb
from edgeseg.pixels import ClassMap, find_ids, rename_ids, split_rows

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "MASK_SUFFIXES",
    "StoredMask",
    "fill_palette",
    "read_mask",
    "read_stored_mask",
    "write_mask",
    "write_painted_mask",
]

MASK_SUFFIXES: Final = (".bmp", ".npy", ".png", ".tif", ".tiff", ".webp")

_ARRAY_SUFFIX: Final = ".npy"
_HIGHEST_ID: Final = 65535
_OPAQUE: Final = 255
_RGB: Final = 3

_Painted = npt.NDArray[np.uint8]


class StoredMask(NamedTuple):
    """A mask as its file stores it: class ids, or colors that stand for classes.

    `painted`, (H, W, 3) uint8 RGB, is None if the file has one value a pixel. `ids`, (H, W) uint8
    or uint16, is None if the file has colors that are more than gray. `colors` maps each id that
    occurs to its color, if the file has a palette.
    """

    ids: ClassMap | None
    painted: _Painted | None
    colors: Mapping[int, Rgb]


def read_mask(path: Path) -> ClassMap:
    """Read class ids, (H, W) uint8 or uint16, upright by their EXIF tag.

    The file is gray or has a palette, whose index is the id, whatever its color. 1-bit images hold
    the ids 0 and 1. An image of red, green and blue that are alike everywhere is gray, too.

    Raises:
        SourceError: the file is missing, empty or damaged, or cannot hold class ids.
    """
    stored = read_stored_mask(path)
    if stored.ids is None:
        raise SourceError(f"{path} is painted in colors; a mask of ids holds one id a pixel")
    return stored.ids


def read_stored_mask(path: Path) -> StoredMask:
    """Read a mask of ids or of colors.

    Raises:
        SourceError: the file is missing, empty or damaged, or cannot hold a mask.
    """
    if path.suffix.lower() == _ARRAY_SUFFIX:
        return _read_array(path)
    found = decode(path)
    fault = _explain_no_mask(found, path)
    if fault:
        raise SourceError(f"{path} {fault}")
    image = _drop_opaque_alpha(found.image, path)
    values = np.asarray(image)
    if image.mode == "RGB":
        return _sort_painted(values)
    return StoredMask(_narrow(values, path), None, _read_colors(image, values))


def _sort_painted(values: _Painted) -> StoredMask:
    """Take an image whose three channels are alike for gray: its values are ids or colors."""
    alike = all(
        (values[rows] == values[rows, :, :1]).all() for rows in split_rows(*values.shape[:2])
    )
    return StoredMask(values[:, :, 0].copy() if alike else None, values, {})


def _read_array(path: Path) -> StoredMask:
    values: Any = read_array(path)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim == 3 and values.shape[2] == _RGB and values.dtype == np.uint8:
        return _sort_painted(values)
    if values.ndim != 2:
        shape = "x".join(map(str, values.shape))
        raise SourceError(f"{path} has the shape {shape}; a mask is (height, width)")
    if values.dtype.kind not in "bui":
        raise SourceError(
            f"{path} holds {values.dtype} values; save ids as whole numbers: "
            f"np.save({path.name!r}, ids.astype(np.uint8))"
        )
    return StoredMask(_narrow(values, path), None, {})


def _narrow(values: npt.NDArray[Any], path: Path) -> ClassMap:
    highest = int(values.max(initial=0))
    if highest > _HIGHEST_ID or values.min(initial=0) < 0:
        raise SourceError(f"{path} holds ids outside 0 to {_HIGHEST_ID}; is it a mask?")
    return values.astype(np.uint8 if highest <= 255 else np.uint16)


def _drop_opaque_alpha(image: Image.Image, path: Path) -> Image.Image:
    """Drop an alpha channel that hides nothing, or hides all of a pixel.

    Raises:
        SourceError: some pixels are half transparent, as antialiasing leaves them.
    """
    if image.mode not in {"LA", "RGBA"}:
        return image
    alpha = np.asarray(image.getchannel("A"))
    if ((alpha != 0) & (alpha != _OPAQUE)).any():
        raise SourceError(
            f"{path} has half transparent pixels, whose color is not that of a class; save the "
            f"mask without antialiasing"
        )
    return image.convert("RGB" if image.mode == "RGBA" else "L")


def _read_colors(image: Image.Image, mask: ClassMap) -> Mapping[int, Rgb]:
    """Read the color of each id in a mask; none if the image has no palette."""
    if image.mode != "P":
        return {}
    palette = image.getpalette() or []
    return {
        own: (palette[3 * own], palette[3 * own + 1], palette[3 * own + 2])
        for own in find_ids(mask)
        if 3 * own + 2 < len(palette)
    }


def _explain_no_mask(found: Decoded, path: Path) -> str | None:
    """Say why a decoded image cannot hold a mask; None if it can."""
    mode = found.image.mode
    if mode not in {"1", "L", "P", "LA", "RGB", "RGBA"} and not mode.startswith("I"):
        return f"is a {mode} image; a mask holds an id or a color a pixel (mode L, P, I;16, RGB)"
    if found.several:
        return "holds several frames or pages, and a mask is one image; save the one that is meant"
    if found.misread:
        return "is a 16-bit TIFF of a kind that Pillow misreads; write the ids as a 16-bit PNG"
    if found.format in {"JPEG", "MPO"} or _is_lossy_webp(found, path):
        kind = "JPEG" if found.format != "WEBP" else "WebP with loss"
        return f"is a {kind}, whose compression changes class ids; make the mask anew, as a PNG"
    if ";16" in found.raw and mode in {"RGB", "RGBA", "LA"}:
        return "has 16 bits a channel, and a color of a mask has 8; save it as 8-bit RGB"
    if found.raw in {"L;2", "L;4"}:
        return (
            "has 2 or 4 bits a pixel, which mean shades of gray up to white and not class ids; "
            "write the ids as an 8-bit PNG"
        )
    return None


def _is_lossy_webp(found: Decoded, path: Path) -> bool:
    """Whether a WebP's pixels lie in a chunk `VP8 `, which is lossy (RFC 9649, section 2.5)."""
    return found.format == "WEBP" and b"VP8 " in path.read_bytes()


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

    image = Image.fromarray(mask)
    if palette is not None and mask.dtype == np.uint8:
        # All 256 entries: with fewer, Pillow packs several ids into a byte.
        image.putpalette(fill_palette(palette, 256).tobytes())
    _save(image, path, software)


def write_painted_mask(
    mask: ClassMap, path: Path, *, palette: Sequence[Rgb], software: str | None = None
) -> None:
    """Write class ids, (H, W), as an RGB PNG of their colors; an id beyond the palette is black.

    `software` and errors are as in `write_mask`.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    from PIL import Image

    colors = fill_palette(palette, 256 if mask.dtype == np.uint8 else _HIGHEST_ID + 1)
    _save(Image.fromarray(rename_ids(mask, colors)), path, software)


def fill_palette(palette: Sequence[Rgb], length: int) -> _Painted:
    """Make a table of `length` colors, uint8 RGB; those after the palette's are black."""
    colors = np.zeros((length, _RGB), np.uint8)
    colors[: len(palette)] = palette[:length]
    return colors


def _save(image: Image.Image, path: Path, software: str | None) -> None:
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    if software is not None:
        about.add_text("Software", software)
    with write_whole(path) as partial:
        # Level 1: a third of the time of the default, for files a tenth larger.
        image.save(partial, format="PNG", compress_level=1, pnginfo=about)
