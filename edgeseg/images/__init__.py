"""Reads and writes still images and masks. `edgeseg.runtime` reads video and cameras."""

from __future__ import annotations

from edgeseg.images.masks import (
    MASK_SUFFIXES,
    StoredMask,
    read_mask,
    read_stored_mask,
    write_mask,
    write_painted_mask,
)
from edgeseg.images.stills import (
    BANDS_AS_RGB,
    CONVERSIONS,
    FIRST_FRAME,
    IMAGE_SUFFIXES,
    PERHAPS_12_BITS,
    ROTATED,
    list_files,
    read_and_convert,
    read_image,
    write_image,
)

__all__ = [
    "BANDS_AS_RGB",
    "CONVERSIONS",
    "FIRST_FRAME",
    "IMAGE_SUFFIXES",
    "MASK_SUFFIXES",
    "PERHAPS_12_BITS",
    "ROTATED",
    "StoredMask",
    "list_files",
    "read_and_convert",
    "read_mask",
    "read_image",
    "read_stored_mask",
    "write_image",
    "write_mask",
    "write_painted_mask",
]
