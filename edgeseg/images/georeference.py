"""Keeps the place on the map: a GeoTIFF's mask is a GeoTIFF that lies where the image lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from edgeseg.files.whole import write_whole
from edgeseg.images.masks import fill_palette
from edgeseg.images.storage import Storage, read_tiff_storage
from edgeseg.labels import Rgb
from edgeseg.pixels import ClassMap, rename_ids

__all__ = ["Place", "read_georeferenced", "read_place", "write_geotiff"]

_TILE_PX: Final = 512


class Place(NamedTuple):
    """An image's coordinate system, and the transform or the control points that tie it down.

    All are rasterio's values.
    """

    crs: Any
    transform: Any
    points: tuple[Any, ...]
    point_crs: Any
    area_or_point: str | None


def read_georeferenced(path: Path) -> Storage | None:
    """Read by its tags how a GeoTIFF is stored; None for any other file, a damaged one too."""
    try:
        with path.open("rb") as file:
            storage = read_tiff_storage(file)
    except Exception:  # damaged headers raise errors of any kind
        return None
    return storage if storage is not None and storage.georeferenced else None


def read_place(path: Path) -> Place:
    """Read the georeference of a GeoTIFF; rasterio must be there.

    Raises:
        OSError: the file cannot be read.
    """
    import rasterio

    with rasterio.open(path, driver="GTiff") as source:
        points, point_crs = source.gcps
        return Place(
            crs=source.crs,
            transform=source.transform,
            points=tuple(points),
            point_crs=point_crs,
            area_or_point=source.tags().get("AREA_OR_POINT"),
        )


def write_geotiff(
    mask: ClassMap,
    path: Path,
    place: Place,
    *,
    palette: Sequence[Rgb],
    painted: bool,
    software: str,
) -> None:
    """Write a mask, (H, W), as a GeoTIFF of ids, with its colors up to 256 ids, or painted in RGB.

    `software` is kept in the file as the name of the program that wrote it. The file is written
    whole or not at all.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    import rasterio
    from rasterio.errors import RasterioError

    colors = fill_palette(palette, 256 if mask.dtype == np.uint8 else 1 << 16)
    tabled = mask.dtype == np.uint8 and not painted
    options = {
        "driver": "GTiff",
        "height": mask.shape[0],
        "width": mask.shape[1],
        "count": 3 if painted else 1,
        "dtype": "uint8" if painted else mask.dtype.name,
        "photometric": "rgb" if painted else "palette" if tabled else "minisblack",
        "compress": "deflate",
        "tiled": True,
        "blockxsize": _TILE_PX,
        "blockysize": _TILE_PX,
        "bigtiff": "if_safer",
    }
    with write_whole(path) as partial:
        try:
            with rasterio.open(partial, "w", **options, **_describe(place)) as target:
                target.update_tags(TIFFTAG_SOFTWARE=software)
                if place.area_or_point is not None:
                    target.update_tags(AREA_OR_POINT=place.area_or_point)
                if tabled:
                    target.write_colormap(1, dict(enumerate(map(tuple, colors.tolist()))))
                if painted:
                    target.write(np.moveaxis(rename_ids(mask, colors), -1, 0))
                else:
                    target.write(mask, 1)
        except RasterioError as error:
            raise OSError(str(error)) from error
        # In a large file the tag stands far from both ends, where `edgeseg.files.signature` looks.
        # Readers of TIFF ignore what follows the last part that a tag names.
        with partial.open("ab") as file:
            file.write(software.encode())


def _describe(place: Place) -> dict[str, Any]:
    """Describe a place in the words of `rasterio.open`."""
    if place.points:
        return {"gcps": list(place.points), "crs": place.point_crs}
    return {"crs": place.crs, "transform": place.transform}
