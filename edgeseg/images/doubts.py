"""Tells of images that may not be read as their maker meant them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgeseg.images.stills import BANDS_AS_RGB, FIRST_FRAME, PERHAPS_12_BITS
from edgeseg.progress import Say

__all__ = ["DoubtTeller"]

_DOUBTS: Final = (PERHAPS_12_BITS, BANDS_AS_RGB, FIRST_FRAME)


class DoubtTeller:
    """Tells of the first image of each kind: read in part, or of guessed colors or depth."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told: set[str] = set()

    def see(self, image: Path | str, conversions: Sequence[str]) -> None:
        """Look at what of `edgeseg.images.CONVERSIONS` the image took."""
        for doubt in _DOUBTS:
            if doubt in conversions and doubt not in self._told:
                self._told.add(doubt)
                self._say(f"{image}: {doubt}; the next such images are not named")
