"""Decodes image files with Pillow, upright, and says how a pixel is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgeseg.errors import FormatError, SourceError
from edgeseg.images.opening import lift_limit, open_image
from edgeseg.images.sizes import BYTES, check_size

if TYPE_CHECKING:
    from PIL import Image, ImageFile

__all__ = ["Decoded", "decode"]

# Tags of EXIF and of TIFF.
_KIND: Final = 254
_BITS: Final = 258
_PHOTOMETRIC: Final = 262
_ORIENTATION: Final = 274

# Bits of the tag NewSubfileType: a smaller copy of another page, and its mask.
_NO_PAGE: Final = 1 | 4
# Formats whose frames are alike. The others of an MPO or HEIC are no pictures of their own.
_IN_FRAMES: Final = ("AVIF", "GIF", "PNG", "TIFF", "WEBP")

# Whole numbers of 32 bits and floats become arrays of their own on the way.
_DEEP_BYTES: Final = 16


class Decoded(NamedTuple):
    """An upright image, and facts of its file.

    `raw` is Pillow's name for how a pixel is stored. `misread` says that Pillow gives other pixels
    than the file's. `several` says that the file holds more frames or pages, of which this is the
    first.
    """

    image: Image.Image
    format: str | None
    raw: str
    turned: bool
    misread: bool
    several: bool


def decode(path: Path) -> Decoded:
    """Decode a file and turn it upright by its EXIF tag.

    Raises:
        FormatError: Pillow does not know the file's format.
        SourceError: the file is missing, empty, damaged, or too large for the memory. On damaged
            files Pillow raises errors of any kind.
    """
    from PIL import UnidentifiedImageError

    try:
        # Open it here: given a path, Pillow 11.3 to 13.0 maps TIFFs into memory and scrambles
        # turned ones.
        with path.open("rb") as file:
            return _decode(open_image(file))
    except SourceError as error:
        raise SourceError(f"{path} {error}") from None
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        if path.stat().st_size == 0:
            raise SourceError(f"{path} is empty (0 bytes); restore or remove it") from None
        raise FormatError(f"{path} cannot be read as an image: its format is not known") from None
    except Exception as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise SourceError(f"{path} cannot be read as an image: {reason}") from None


def _decode(image: ImageFile.ImageFile) -> Decoded:
    width, height = image.size
    check_size(height, width, _DEEP_BYTES if image.mode in {"I", "F"} else BYTES)
    several = _holds_several(image)
    raw = _find_raw_mode(image)
    misread = _is_misread(image, raw)
    turned = image.getexif().get(_ORIENTATION) in range(2, 9)
    with lift_limit(height * width):
        upright = _load_upright(image, turned=turned)
    return Decoded(upright, image.format, raw, turned, misread, several)


def _holds_several(image: ImageFile.ImageFile) -> bool:
    """Whether a file holds more frames or pages than the first, smaller copies of it aside."""
    frames = getattr(image, "n_frames", 1) if image.format in _IN_FRAMES else 1
    if image.format != "TIFF" or frames == 1:
        return frames > 1
    kinds = []
    for page in range(1, frames):
        image.seek(page)
        kinds.append(getattr(image, "tag_v2", {}).get(_KIND, 0))
    image.seek(0)
    return any(not kind & _NO_PAGE for kind in kinds)


def _find_raw_mode(image: ImageFile.ImageFile) -> str:
    """Find how a pixel is stored. Ask before decoding: afterwards Pillow has forgotten it."""
    args: Any = image.tile[0][3] if image.tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _is_misread(image: ImageFile.ImageFile, raw: str) -> bool:
    """Whether this is a TIFF that Pillow 9.3 to 13.0 decodes wrongly without an error.

    It reads planes of 16 bits as if they had 8, and does not invert 16-bit gray whose 0 is white.
    """
    tags = getattr(image, "tag_v2", {})
    return max(tags.get(_BITS, (8,))) > 8 and (";" not in raw or tags.get(_PHOTOMETRIC) == 0)


def _load_upright(image: ImageFile.ImageFile, *, turned: bool) -> Image.Image:
    """Decode an image and turn it upright by its EXIF tag; without a copy if it is upright."""
    from PIL import ImageOps

    image.load()
    # Pillow turns a TIFF as it decodes it; exif_transpose before 10.1 would turn it again.
    if not turned or image.format == "TIFF":
        return image
    return ImageOps.exif_transpose(image)
