"""Reads and writes still images and masks. `edgeseg.runtime` reads video and cameras."""

from __future__ import annotations

from edgeseg.images.stills import (
    CONVERSIONS,
    IMAGE_SUFFIXES,
    ROTATED,
    list_files,
    read_and_convert,
    read_image,
    read_mask,
    read_painted_mask,
    write_image,
    write_mask,
)

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
