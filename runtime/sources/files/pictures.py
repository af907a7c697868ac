"""Decodes pictures that lie in memory, such as those of a pipe or of a recording's messages."""

from __future__ import annotations

import io
from typing import Final

import numpy as np

from edgeseg.pixels import Bgr

__all__ = ["decode_picture"]

# Pillow's modes of 8 bits a channel; `convert` would cut the values of others off.
_SHALLOW: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"})


def decode_picture(content: bytes | bytearray | memoryview) -> Bgr | None:
    """Decode a JPEG or PNG to uint8 BGR (H, W, 3); None where it is broken, or deeper than 8 bits.

    Alpha is dropped, not blended.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            if image.mode not in _SHALLOW:
                return None
            rgb = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return np.ascontiguousarray(rgb[:, :, ::-1])
