"""Refuses images that the memory does not hold, before they are decoded."""

from __future__ import annotations

from typing import Final

from edgeseg.errors import SourceError
from edgeseg.memory import find_free_memory, find_total_memory
from edgeseg.progress import Say

__all__ = ["BYTES", "MOST_PIXELS", "SizeTeller", "check_size"]

# What a pixel of gray or color takes while it is read: Pillow's 4 bytes, and a turned copy of them
# or the array beside them.
BYTES: Final = 8
# 32768 pixels a side: ten times more than any camera's image, and far below what overflows.
MOST_PIXELS: Final = 1 << 30
# The other half stays for masks, engines and what else the machine does.
_SHARE: Final = 0.5
# Pillow warns above it.
_LARGE: Final = 89_478_485
# So much memory any device has, and to ask for the free memory takes as long as a small image.
_ALWAYS: Final = 64 << 20


def check_size(height: int, width: int, bytes_a_pixel: int) -> None:
    """Refuse an image, given in pixels, that has too many of them for the memory that is free.

    `bytes_a_pixel` is the most that reading it takes at any time.

    Raises:
        SourceError: it has more than `MOST_PIXELS`, or needs more than half of the free memory. The
            message lacks the path.
    """
    pixels, size = height * width, f"{height}x{width} pixels (height x width)"
    if pixels > MOST_PIXELS:
        raise SourceError(f"has {size}, and edgeseg reads {MOST_PIXELS:,}; cut it into tiles")
    needed = pixels * bytes_a_pixel
    if needed <= _ALWAYS:
        return
    free = find_free_memory() or find_total_memory()
    if needed > _SHARE * free:
        raise SourceError(
            f"has {size}; to read it takes {needed / 1e9:.1f} GB of memory, more than half of the "
            f"{free / 1e9:.1f} GB that are free; cut it into tiles, or make it smaller"
        )


class SizeTeller:
    """Tells of the first image that is large, and of no other."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told = False

    def see(self, height: int, width: int) -> None:
        """Look at an image of that size in pixels."""
        pixels = height * width
        if pixels > _LARGE and not self._told:
            self._told = True
            self._say(
                f"{height}x{width} pixels (height x width) are {pixels / 1e6:.0f} megapixels; to "
                f"read such an image takes {pixels * BYTES / 1e9:.1f} GB of memory"
            )
