"""Reads images of any number of channels: color files, and bands in TIFF, PNG or `.npy` files.

A camera's three colors come from `edgeseg.images`. Bands are read as they are, in the file's own
order, or refused: none is dropped, blended or scaled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.data_rules import ValueRange
from edgeseg.errors import FormatError, SourceError
from edgeseg.images.arrays import read_array
from edgeseg.images.decoding import Decoded, decode
from edgeseg.images.deep import SAY_RANGE, holds_bands, read_deep_samples, scale
from edgeseg.images.samples import INSTALL_RASTERIO, Samples, has_rasterio, read_samples
from edgeseg.images.stills import FIRST_FRAME, ROTATED, list_files, read_and_convert
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


def read_frame(path: Path, channels: int, value_range: ValueRange | None = None) -> Bgr:
    """Read an image of so many channels, uint8 (H, W, channels), upright by its EXIF tag.

    Three channels are blue, green and red, as `edgeseg.images.read_image` reads them.
    `value_range` says which values of a deep file become 0 and 255.

    Raises:
        SourceError: the file is missing, damaged, or holds no such image.
    """
    return read_frame_and_convert(path, channels, value_range)[0]


def read_frame_and_convert(
    path: Path, channels: int, value_range: ValueRange | None = None
) -> tuple[Bgr, tuple[str, ...]]:
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
        return read_and_convert(path, value_range)
    if is_array:
        return _read_array(path, channels, value_range), ()
    if value_range is not None:
        return _pick_bands(read_deep_samples(path), channels, value_range, path)
    return _read_bands(path, channels)


def _read_array(path: Path, channels: int, value_range: ValueRange | None) -> Bgr:
    found = read_array(path)
    if found.dtype != np.uint8 and value_range is None:
        raise SourceError(
            f"{path} holds {found.dtype} values; {SAY_RANGE} in training, or save them as uint8: "
            f"np.save({path.name!r}, scaled.astype(np.uint8))"
        )
    _check_shape(path, found, channels)
    if value_range is not None:
        found = scale(found, value_range, path)
    return np.ascontiguousarray(found)


def _check_shape(path: Path, found: npt.NDArray[Any], channels: int) -> None:
    if found.ndim == _DIMENSIONS and found.shape[2] == channels and found.size:
        return
    shape = "x".join(map(str, found.shape))
    remedy = f"the network takes (height, width, {channels})"
    if found.ndim == _DIMENSIONS and found.shape[0] == channels:
        remedy += "; save np.moveaxis(bands, 0, -1), whose bands come last"
    raise SourceError(f"{path} has the shape {shape}, and {remedy}")


def _pick_bands(
    samples: Samples, channels: int, value_range: ValueRange | None, path: Path
) -> tuple[Bgr, tuple[str, ...]]:
    """Take samples as they are stored, if they are so many channels of 8 bits, or can be scaled."""
    values = samples.values
    _check_channels(path, values.shape[2], channels)
    if value_range is not None:
        values = scale(values, value_range, path)
    if values.dtype != np.uint8:
        raise SourceError(_explain_deep(path))
    taken = {ROTATED: samples.turned, FIRST_FRAME: samples.several}
    return values, tuple(name for name, is_so in taken.items() if is_so)


def _read_bands(path: Path, channels: int) -> tuple[Bgr, tuple[str, ...]]:
    """Read a TIFF with rasterio if it is there; else what Pillow gives as it is stored."""
    if has_rasterio() and holds_bands(path):
        return _pick_bands(read_samples(path), channels, None, path)
    try:
        found = decode(path)
    except FormatError as error:
        if not holds_bands(path):
            raise
        raise FormatError(f"{error}; {_explain_instead(path, channels)}") from None
    if found.misread or ";16" in found.raw or found.image.mode.startswith(("I", "F")):
        raise SourceError(_explain_deep(path))
    if not _is_plain(found):
        raise SourceError(
            f"{path} is read by Pillow as {found.image.mode}, which is not {channels} bands as "
            f"they are stored; {_explain_instead(path, channels)}"
        )
    bands = np.asarray(found.image)
    _check_channels(path, bands.shape[2], channels)
    taken = {ROTATED: found.turned, FIRST_FRAME: found.several}
    return bands.copy(), tuple(name for name, is_so in taken.items() if is_so)


def _check_channels(path: Path, there: int, channels: int) -> None:
    if there != channels:
        raise SourceError(
            f"{path} has {pluralize(there, 'channel')}, and the network takes {channels}"
        )


def _explain_deep(path: Path) -> str:
    return f"{path} holds more than 8 bits a sample; {SAY_RANGE} in training"


def _explain_instead(path: Path, channels: int) -> str:
    save = f"save {channels} bands with np.save as a .npy file of uint8 (height, width, {channels})"
    beyond = holds_bands(path) and not has_rasterio()
    return f"{save}; or read it with rasterio: {INSTALL_RASTERIO}" if beyond else save


def _is_plain(found: Decoded) -> bool:
    mode = found.image.mode
    return found.format in _FORMATS and mode in _PLAIN and found.raw == mode
