"""Reads from the header of a TIFF or PNG how its samples are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, Final, NamedTuple

from edgeseg.images.opening import open_image
from edgeseg.spec import RGB

__all__ = ["TIFF", "Storage", "read_storage", "read_tiff_storage"]

# GDAL's names of the two formats.
TIFF: Final = "GTiff"
PNG: Final = "PNG"

# Tags of TIFF 6.0 and of EXIF.
_BITS: Final = 258
_PHOTOMETRIC: Final = 262
_ORIENTATION: Final = 274
# Of GeoTIFF: a pixel's size on the map, points that tie pixels to the map, and a whole transform.
_SCALE: Final = 33550
_TIE_POINTS: Final = 33922
_TRANSFORM: Final = 34264
_TIE_POINT_NUMBERS: Final = 6
_CHANNELS: Final = 277

# Values of the tag PhotometricInterpretation.
_WHITE_IS_0: Final = 0
_BLACK_IS_0: Final = 1
_IS_RGB: Final = 2

_TIFF_STARTS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the second two are BigTIFF
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
# The channels of each color type of PNG that has no palette, and what they are in a TIFF.
_PNG_TYPES: Final = {
    0: (1, _BLACK_IS_0),
    2: (3, _IS_RGB),
    4: (2, _BLACK_IS_0),
    6: (4, _IS_RGB),
}


class Storage(NamedTuple):
    """How a file stores its samples.

    `format` is `TIFF` or `PNG`, `photometric` TIFF's number for what the channels mean,
    and `orientation` EXIF's number for how the image is turned. `georeferenced` says that it has a
    place on the map.
    """

    format: str
    channels: int
    bits: int
    photometric: int
    orientation: int
    georeferenced: bool = False

    @property
    def inverted(self) -> bool:
        """Whether 0 is white."""
        return self.photometric == _WHITE_IS_0

    @property
    def known(self) -> bool:
        """Whether the channels are gray or RGB; GDAL turns some of the other kinds into RGBA."""
        return self.photometric in {_WHITE_IS_0, _BLACK_IS_0, _IS_RGB}

    @property
    def assumed(self) -> bool:
        """Whether three channels do not say that they are red, green and blue.

        GDAL writes three bands of 16 bits so, unless it is told what they are.
        """
        return self.photometric == _BLACK_IS_0 and self.channels == RGB

    @property
    def colors(self) -> int:
        """How many channels, the first ones, are gray (1) or color (3); 0 if they are neither."""
        if self.photometric == _IS_RGB or self.assumed:
            return RGB
        return 1 if self.known else 0


def read_storage(file: BinaryIO) -> Storage | None:
    """Read the header; None if the file is no TIFF, and no PNG without a palette.

    On a damaged header Pillow raises errors of any kind.
    """
    start = file.read(26)
    if start.startswith(_TIFF_STARTS):
        return _read_tags(file, start)
    if not start.startswith(_PNG_START) or start[25] not in _PNG_TYPES:
        return None
    file.seek(0)
    image = open_image(file)
    channels, photometric = _PNG_TYPES[start[25]]
    return Storage(
        format=PNG,
        channels=channels,
        bits=start[24],
        photometric=photometric,
        orientation=image.getexif().get(_ORIENTATION, 1),
    )


def read_tiff_storage(file: BinaryIO) -> Storage | None:
    """Read the header of a TIFF; None for any other file, of which it reads a few bytes.

    On a damaged header Pillow raises errors of any kind.
    """
    start = file.read(16)
    return _read_tags(file, start) if start.startswith(_TIFF_STARTS) else None


def _read_tags(file: BinaryIO, start: bytes) -> Storage:
    """Read a TIFF's first directory; Pillow gives it also where it does not read the pixels."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags: Any = ImageFileDirectory_v2(start[:16] if b"+" in start[:4] else start[:8])
    file.seek(tags.next)
    tags.load(file)
    return Storage(
        format=TIFF,
        channels=tags.get(_CHANNELS, 1),
        bits=max(tags.get(_BITS, (1,))),
        photometric=tags.get(_PHOTOMETRIC, _BLACK_IS_0),
        orientation=tags.get(_ORIENTATION, 1),
        georeferenced=_is_georeferenced(tags),
    )


def _is_georeferenced(tags: Mapping[int, Any]) -> bool:
    """Whether the tags tie pixels to the map: by a transform, a point and a scale, or points."""
    points = len(tags.get(_TIE_POINTS, ())) // _TIE_POINT_NUMBERS
    return _TRANSFORM in tags or points > 1 or (points == 1 and _SCALE in tags)
