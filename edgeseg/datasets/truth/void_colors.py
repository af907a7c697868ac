"""The colors that published data sets give to what is no class; such pixels are not counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edgeseg.labels import Rgb

__all__ = ["VOID_COLORS"]

VOID_COLORS: Final[Mapping[str, tuple[Rgb, ...]]] = {
    # The label Void in CamVid's label_colors.txt.
    "camvid": ((0, 0, 0),),
    # The colors of labels that the benchmark does not evaluate (cityscapesScripts, labels.py).
    "cityscapes": (
        *((0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140)),
        *((180, 165, 180), (150, 100, 100), (150, 120, 90), (0, 0, 90), (0, 0, 110)),
    ),
}
