"""Writes how sure the network is of each pixel, a gray picture for each mask."""

from __future__ import annotations

from pathlib import Path

from edgeseg.files.signature import SIGNATURE
from edgeseg.images import write_mask
from edgeseg.images.georeference import write_geotiff
from edgeseg.progress import Say, ignore
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.folder import FolderSink
from edgeseg.runtime.sinks.places import Places

__all__ = ["open_score_sink"]

_GRAYS = tuple((value, value, value) for value in range(256))


def open_score_sink(folder: Path, say: Say) -> FolderSink:
    """Open a sink that writes 255 times the probability of each pixel's class, of 8 bits.

    The picture of a GeoTIFF is a GeoTIFF, any other a PNG. `say` hears of an earlier run's files.
    """
    places = Places(ignore)  # the masks' own sink says where rasterio is missing

    def write(result: Result, path: Path) -> None:
        scores = result.segmentation.scores
        assert scores is not None, "a run with this sink asks for scores"
        place = places.find(result.captured.path)
        if place is None:
            write_mask(scores, path, software=SIGNATURE)
        else:
            raster = path.with_suffix(".tif")
            write_geotiff(scores, raster, place, palette=_GRAYS, painted=False, software=SIGNATURE)

    return FolderSink(folder, "score", write, beside={}, say=say)
