"""Turns the values of deep images into 8 bits: by a stated range, or by their upper 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.data_rules import ValueRange
from edgeseg.errors import FormatError, SourceError
from edgeseg.images.decoding import decode
from edgeseg.images.samples import INSTALL_RASTERIO, Samples, has_rasterio, read_samples
from edgeseg.images.scaling import scale_values
from edgeseg.images.storage import TIFF, Storage, read_storage
from edgeseg.pixels import Bgr
from edgeseg.spec import RGB
from edgeseg.text import pluralize

__all__ = [
    "SAY_RANGE",
    "holds_bands",
    "make_bgr",
    "read_deep_samples",
    "read_instead_of_pillow",
    "scale",
    "take_upper_bits",
]

# What mends an image whose scale to 8 bits is not known.
SAY_RANGE: Final = "say with --range LOW,HIGH which values are black and white"

_BYTE: Final = 8
_SHORT: Final = 16
# Depths of gray that Pillow gives in full.
_PILLOWS: Final = (12, 16)


def read_deep_samples(path: Path) -> Samples:
    """Read all channels of a file of more than 8 bits a sample, at their full depth.

    Gray needs no more than Pillow, all else rasterio.

    Raises:
        SourceError: the file is missing, damaged, too large, of 8 bits, or needs rasterio.
    """
    storage = _read_storage(path)
    if storage is None:
        decode(path)  # it says what is wrong with a damaged file
    if storage is None or storage.bits <= _BYTE:
        raise SourceError(_explain_shallow(path))
    if storage.channels == 1 and not storage.inverted and storage.bits in _PILLOWS:
        found = decode(path)
        return Samples(np.asarray(found.image)[:, :, None], storage, found.several)
    if not has_rasterio():
        raise SourceError(
            f"{path} has {pluralize(storage.channels, 'channel')} of {storage.bits} bits, which "
            f"rasterio reads; run: {INSTALL_RASTERIO}"
        )
    return read_samples(path)


def holds_bands(path: Path) -> bool:
    """Whether a file is a TIFF of gray, color or bands, and its header can be read."""
    storage = _read_storage(path)
    return storage is not None and storage.format == TIFF and storage.known


def _explain_shallow(path: Path) -> str:
    return (
        f"{path} has 8 bits a sample, and a range of values is for deeper images; leave out the "
        f"range, or such images"
    )


def _read_storage(path: Path) -> Storage | None:
    try:
        with path.open("rb") as file:
            return read_storage(file)
    except Exception:  # a damaged header raises errors of many kinds
        return None


def read_instead_of_pillow(path: Path, error: FormatError) -> Samples:
    """Read a TIFF with rasterio that Pillow cannot read, or reads wrongly; `error` says why.

    Raises:
        FormatError: it is no TIFF, or rasterio is not installed.
        SourceError: rasterio cannot read it either.
    """
    if not holds_bands(path):
        raise error
    if not has_rasterio():
        raise FormatError(f"{error}; or read it with rasterio: {INSTALL_RASTERIO}")
    return read_samples(path)


def make_bgr(samples: Samples, value_range: ValueRange | None, path: Path) -> Bgr:
    """Make (H, W, 3) uint8 BGR of gray or color; what follows them, such as alpha, is dropped.

    Raises:
        SourceError: the channels are not gray or color with one more at most, or their scale is
            not known.
    """
    colors, channels = samples.storage.colors, samples.storage.channels
    if not colors or channels > colors + 1:
        raise SourceError(
            f"{path} has {pluralize(channels, 'channel')}, and the network takes color images; "
            f"save its red, green and blue as an RGB image"
        )
    scaled = _reduce(samples.values[:, :, :colors], samples.storage, value_range, path)
    order = [2, 1, 0] if colors == RGB else [0, 0, 0]
    return np.ascontiguousarray(scaled[:, :, order])


def _reduce(
    values: npt.NDArray[Any], storage: Storage, value_range: ValueRange | None, path: Path
) -> npt.NDArray[np.uint8]:
    """Reduce values of any shape to uint8: by a range, or by their upper 8 bits.

    Raises:
        SourceError: they are no numbers, or no range is given and their scale is not known.
    """
    if value_range is not None:
        return scale(values, value_range, path)
    return values if values.dtype == np.uint8 else take_upper_bits(values, storage.bits, path)


def scale(values: npt.NDArray[Any], value_range: ValueRange, path: Path) -> npt.NDArray[np.uint8]:
    """Scale values of any shape to uint8 by a range.

    Raises:
        SourceError: they are of 8 bits, or no numbers.
    """
    if values.dtype == np.uint8:
        raise SourceError(_explain_shallow(path))
    if values.dtype.kind not in "uif" or (values.dtype.kind == "f" and np.isnan(values).any()):
        raise SourceError(f"{path} holds values that are no numbers (NaN); write the nearest ones")
    return scale_values(values, value_range)


def take_upper_bits(values: npt.NDArray[Any], bits: int, path: Path) -> npt.NDArray[np.uint8]:
    """Take the upper 8 of so many bits, at most 16, of values of any shape.

    Raises:
        SourceError: the values are no whole numbers of so many bits, or would all become 0.
    """
    bits = min(bits, _SHORT)
    if values.dtype.kind not in "iu":
        raise SourceError(
            f"{path} holds floating-point pixels, which have no one way to 8 bits; {SAY_RANGE}"
        )
    full, highest = (1 << bits) - 1, int(values.max(initial=0))
    if values.min(initial=0) < 0 or highest > full:
        raise SourceError(
            f"{path} holds values outside 0 to {full}, whose scale to 8 bits is not known; "
            f"{SAY_RANGE}"
        )
    shift = bits - _BYTE
    if 0 < highest < 1 << shift:
        raise SourceError(
            f"{path} holds values up to {highest} of {full} and would be black in 8 bits; "
            f"{SAY_RANGE}"
        )
    return (values >> shift).astype(np.uint8)
