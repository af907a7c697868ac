"""Decodes image files with Pillow, upright, and says how a pixel is stored."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from edgeseg.errors import SourceError

if TYPE_CHECKING:
    from PIL import Image, ImageFile

__all__ = ["Decoded", "decode"]

# Tags of EXIF and of TIFF.
_BITS: Final = 258
_PHOTOMETRIC: Final = 262
_ORIENTATION: Final = 274


class Decoded(NamedTuple):
    """An upright image, and facts of its file.

    `raw` is Pillow's name for how a pixel is stored. `misread` says that Pillow gives other pixels
    than the file's.
    """

    image: Image.Image
    format: str | None
    raw: str
    turned: bool
    misread: bool


def decode(path: Path) -> Decoded:
    """Decode a file and turn it upright by its EXIF tag.

    Raises:
        SourceError: the file is missing, empty, damaged or not an image. On damaged files Pillow
            raises errors of any kind.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # Open it here: given a path, Pillow 11.3 to 13.0 maps TIFFs into memory and scrambles
        # turned ones.
        with path.open("rb") as file, _open(file) as image:
            raw = _find_raw_mode(image)
            misread = _is_misread(image, raw)
            turned = image.getexif().get(_ORIENTATION) in range(2, 9)
            return Decoded(_turn_upright(image), image.format, raw, turned, misread)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        if path.stat().st_size == 0:
            raise SourceError(f"{path} is empty (0 bytes); restore or remove it") from None
        raise SourceError(f"{path} cannot be read as an image: its format is not known") from None
    except Image.DecompressionBombError:
        raise SourceError(
            f"{path} has more pixels than the {2 * (Image.MAX_IMAGE_PIXELS or 0):,} that Pillow "
            f"reads; cut it into tiles, or make it smaller"
        ) from None
    except Exception as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise SourceError(f"{path} cannot be read as an image: {reason}") from None


def _open(file: BinaryIO) -> ImageFile.ImageFile:
    """Open an image without Pillow's warning about its size.

    edgeseg reports large images itself.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file)


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


def _turn_upright(image: ImageFile.ImageFile) -> Image.Image:
    """Decode an image and turn it upright by its EXIF tag."""
    from PIL import ImageOps

    # Pillow turns a TIFF as it decodes it; exif_transpose before 10.1 would turn it again.
    return image.copy() if image.format == "TIFF" else ImageOps.exif_transpose(image)
