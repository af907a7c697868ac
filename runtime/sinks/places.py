"""Finds where the images of a run lie on the map."""

from __future__ import annotations

from pathlib import Path

from edgeseg.images.georeference import Place, read_georeferenced, read_place
from edgeseg.images.samples import INSTALL_RASTERIO, has_rasterio
from edgeseg.progress import Say

__all__ = ["Places"]


class Places:
    """Finds the places of GeoTIFFs; `say` hears of the first one whose mask cannot have a place."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told = False

    def find(self, path: Path | None) -> Place | None:
        """Find the place of an image's file; None if it has none, or its mask cannot have one.

        Raises:
            OSError: the file cannot be read any more.
        """
        stored = None if path is None else read_georeferenced(path)
        if path is None or stored is None:
            return None
        if stored.orientation != 1:
            self._tell(path, "its pixels are stored turned; store them upright")
        elif not has_rasterio():
            self._tell(path, f"rasterio is not installed; run: {INSTALL_RASTERIO}")
        else:
            return read_place(path)
        return None

    def _tell(self, path: Path, reason: str) -> None:
        if not self._told:
            self._told = True
            self._say(f"{path.name} is georeferenced, and its mask is not, because {reason}")
