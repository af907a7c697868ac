"""Reads images of any number of channels: color files, and bands in TIFF, PNG or `.npy` files.

A camera's three colors come from `edgeseg.images`. Bands are read as they are, in the file's own
order, or refused: none is dropped, blended or scaled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SourceError
from edgeseg.images.arrays import read_array
from edgeseg.images.decoding import Decoded, decode
from edgeseg.images.stills import ROTATED, list_files, read_and_convert
from edgeseg.pixels import Bgr
from edgeseg.spec import RGB
from edgeseg.text import pluralize

__all__ = ["BANDS_SUFFIX", "list_frames", "read_frame", "read_frame_and_convert"]

BANDS_SUFFIX: Final = ".npy"

# Of these modes Pillow gives each sample as it is stored, if it is stored under the same name.
_PLAIN: Final = ("LA", "RGBA", "CMYK")
_FORMATS: Final = ("PNG", "TIFF")

_DIMENSIONS: Final = 3  # height, width, channels


def list_frames(folder: Path) -> list[Path]:
    """List a folder's images, or its `.npy` files if it holds no images, sorted by name."""
    return list_files(folder) or list_files(folder, (BANDS_SUFFIX,))


def read_frame(path: Path, channels: int) -> Bgr:
    """Read an image of so many channels, uint8 (H, W, channels), upright by its EXIF tag.

    Three channels are blue, green and red, as `edgeseg.images.read_image` reads them.

    Raises:
        SourceError: the file is missing, damaged, or holds no such image.
    """
    return read_frame_and_convert(path, channels)[0]


def read_frame_and_convert(path: Path, channels: int) -> tuple[Bgr, tuple[str, ...]]:
    """Read an image as `read_frame` does, and say what of `edgeseg.images.CONVERSIONS` that took.

    Raises:
        SourceError: see `read_frame`.
    """
    is_array = path.suffix.lower() == BANDS_SUFFIX
    if channels == RGB:
        if is_array:
            raise SourceError(
                f"{path} is an array, and the network takes color images; save it as a PNG"
            )
        return read_and_convert(path)
    if is_array:
        return _read_array(path, channels), ()
    return _read_bands(path, channels)


def _read_array(path: Path, channels: int) -> Bgr:
    found = read_array(path)
    if found.dtype != np.uint8:
        raise SourceError(
            f"{path} holds {found.dtype} values; scale them to 0..255 as in training, and save "
            f"them as uint8: np.save({path.name!r}, scaled.astype(np.uint8))"
        )
    _check_shape(path, found, channels)
    return np.ascontiguousarray(found)


def _check_shape(path: Path, found: npt.NDArray[np.uint8], channels: int) -> None:
    if found.ndim == _DIMENSIONS and found.shape[2] == channels and found.size:
        return
    shape = "x".join(map(str, found.shape))
    remedy = f"the network takes (height, width, {channels})"
    if found.ndim == _DIMENSIONS and found.shape[0] == channels:
        remedy += "; save np.moveaxis(bands, 0, -1), whose bands come last"
    raise SourceError(f"{path} has the shape {shape}, and {remedy}")


def _read_bands(path: Path, channels: int) -> tuple[Bgr, tuple[str, ...]]:
    """Read a TIFF or PNG, if Pillow gives all its samples as they are stored."""
    instead = (
        f"read it with another package (tifffile, rasterio), and save its {channels} bands with "
        f"np.save as a .npy file of uint8 (height, width, {channels})"
    )
    try:
        found = decode(path)
    except SourceError as error:
        if path.suffix.lower() not in {".tif", ".tiff"} or not path.exists():
            raise
        raise SourceError(f"{error}; if it holds bands, {instead}") from None
    deep = found.misread or ";16" in found.raw or found.image.mode.startswith(("I", "F"))
    if deep:
        raise SourceError(
            f"{path} holds more than 8 bits a sample; scale them to 0..255 as in training, and "
            f"{instead}"
        )
    if _is_plain(found):
        bands = np.asarray(found.image)
        if bands.shape[2] == channels:
            return bands.copy(), (ROTATED,) if found.turned else ()
        there = pluralize(bands.shape[2], "channel")
        raise SourceError(f"{path} has {there}, and the network takes {channels}")
    raise SourceError(
        f"{path} is read by Pillow as {found.image.mode}, which is not {channels} bands as they "
        f"are stored; {instead}"
    )


def _is_plain(found: Decoded) -> bool:
    mode = found.image.mode
    return found.format in _FORMATS and mode in _PLAIN and found.raw == mode
