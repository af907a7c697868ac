"""The colors of Cityscapes' painted masks, which KITTI has taken over."""

from __future__ import annotations

from typing import Final

from edgeseg.datasets.truth.color_table import ColorTable, make_color_table
from edgeseg.datasets.truth.void_colors import VOID_COLORS
from edgeseg.labels import get_known_labels

__all__ = ["SHARED_COLORS", "make_cityscapes_colors"]

SHARED_COLORS: Final = (
    "the masks are painted, and two of Cityscapes' colors stand for two labels each: pixels of "
    "polegroup count as pole, and those of license plate as car"
)


def make_cityscapes_colors() -> ColorTable:
    """Make the table of the colors of the 19 classes; those of other labels are not counted."""
    return make_color_table(
        get_known_labels("cityscapes"), origin="Cityscapes", ignored=VOID_COLORS["cityscapes"]
    )
