"""Reads the samples of TIFF and PNG files as they are stored, with rasterio: any depth and number.

Pillow gives 8 bits of any color, and most TIFFs of several bands not at all.
"""

from __future__ import annotations

import importlib.util
import threading
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SourceError
from edgeseg.images.sizes import check_size
from edgeseg.images.storage import Storage, read_storage

__all__ = ["INSTALL_RASTERIO", "Samples", "has_rasterio", "read_samples"]

INSTALL_RASTERIO: Final = "pip install 'edgeseg[geo]' -c constraints.txt"

# Rows at a time, so that no second copy of the image is made: two of the usual tiles.
_ROWS: Final = 512

# Filters of warnings belong to the process: one thread at a time changes them.
_filtering = threading.Lock()


class Samples(NamedTuple):
    """An upright image, (H, W, C) of the file's own type, and how it was stored.

    `several` says that the file holds more pages, of which this is the first.
    """

    values: npt.NDArray[Any]
    storage: Storage
    several: bool

    @property
    def turned(self) -> bool:
        """Whether the file stores the image turned or mirrored."""
        return self.storage.orientation in range(2, 9)


def has_rasterio() -> bool:
    """Whether rasterio is installed."""
    return importlib.util.find_spec("rasterio") is not None


def read_samples(path: Path) -> Samples:
    """Read all channels of a TIFF or PNG, upright; rasterio must be there.

    Where 0 is white, the values are inverted, as any viewer does it.

    Raises:
        SourceError: the file is missing, damaged, of another kind, or too large for the memory.
    """
    try:
        with path.open("rb") as file:
            storage = read_storage(file)
            if storage is None:
                raise SourceError("is no TIFF, and no PNG without a palette")  # noqa: TRY301  # gets its path below
            return _read(file, storage)
    except SourceError as error:
        raise SourceError(f"{path} {error}") from None
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except Exception as error:  # damaged files raise errors of many kinds
        # GDAL's own words are the cause, behind names that mean nothing to a user.
        told = getattr(error, "strerror", None) or str(error.__cause__ or error)
        reason = told.rpartition(":")[2].strip().rstrip(".")
        raise SourceError(f"{path} cannot be read as an image: {reason}") from None


def _read(file: BinaryIO, storage: Storage) -> Samples:
    if not storage.known:
        raise SourceError(
            f"has channels of a kind (PhotometricInterpretation {storage.photometric}) that "
            f"edgeseg does not know; save them as gray or RGB"
        )
    file.seek(0)
    values, several = _read_rows(file, storage.format)
    if storage.inverted and values.dtype.kind == "u":
        np.subtract((1 << storage.bits) - 1, values, out=values)
    return Samples(_turn_upright(values, storage.orientation), storage, several)


def _read_rows(file: BinaryIO, driver: str) -> tuple[npt.NDArray[Any], bool]:
    """Read (H, W, C) as it is stored, and whether more pages follow."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.windows import Window

    with _filtering, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # The file and not its path: the path may be a URL, and GDAL would look at files beside it.
        raster = rasterio.open(file, driver=driver)
    with raster:
        dtype = np.dtype(raster.dtypes[0])
        # The file, its values, these turned or scaled, and the 8 bits that are made of them.
        check_size(raster.height, raster.width, raster.count * (3 * dtype.itemsize + 1))
        values = np.empty((raster.height, raster.width, raster.count), dtype)
        for top in range(0, raster.height, _ROWS):
            window = Window(0, top, raster.width, min(_ROWS, raster.height - top))
            values[top : top + _ROWS] = np.moveaxis(raster.read(window=window), 0, -1)
        return values, bool(raster.subdatasets)


def _turn_upright(values: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn (H, W, C) by EXIF's number: where in the picture row 0 and column 0 are."""
    if orientation in {5, 6, 7, 8}:
        values = values.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        values = values[::-1]
    if orientation in {2, 3, 6, 7}:
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
