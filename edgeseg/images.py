"""Reads still images and masks. Video and cameras are the runtime's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.errors import SourceError
from edgeseg.files import written_whole
from edgeseg.pixels import Bgr, ClassMap

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["IMAGE_SUFFIXES", "read_image", "read_mask", "write_mask"]

IMAGE_SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# 16 bits a pixel. Older Pillows call it I.
_DEEP_GREY: Final = ("I;16", "I;16B", "I")


def read_image(path: Path) -> Bgr:
    """An image as a camera would deliver it, (H, W, 3) uint8 BGR, turned upright by its EXIF tag.

    Decoded by Pillow, as Hugging Face does, so that accuracy does not depend on which OpenCV is
    installed.

    Raises:
        SourceError: missing, damaged, or not an image.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in _DEEP_GREY:  # Pillow would clip it to 255, not scale it
            grey = (np.asarray(upright) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.asarray(upright.convert("RGB"))[:, :, ::-1].copy()


def read_mask(path: Path) -> ClassMap:
    """Class ids from a grey or palette image, (H, W); colours of a palette are not looked at.

    Raises:
        SourceError: missing, damaged, or a colour image.
    """
    with _opened(path) as image:
        mask = np.array(image)
        mode = image.mode
    if mode not in {"L", "P", "I;16", "I"}:
        raise SourceError(
            f"{path} is a {mode} image; a mask holds one class id a pixel (mode L, P or I;16)"
        )
    return mask.astype(np.uint8 if mask.max(initial=0) <= 255 else np.uint16)


def write_mask(mask: ClassMap, path: Path) -> None:
    """Class ids as a PNG: mode L up to 256 classes, I;16 above. The whole file or none.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    from PIL import Image

    with written_whole(path) as partial:
        # Level 1: a third of the time of the default, for files a tenth larger.
        Image.fromarray(mask).save(partial, format="PNG", compress_level=1)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image that is decoded inside the block; whatever Pillow raises there is one error."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SourceError(f"{path} cannot be read as an image: {error}") from None
