"""Describes raw frames, which carry neither size nor format, and turns them into BGR."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import numpy as np

from edgeseg.errors import SpecError
from edgeseg.pixels import Bgr
from edgeseg.runtime.sources.captures.formats import convert_colors
from edgeseg.spec import check_number
from edgeseg.text import join_words

__all__ = ["RAW_FORMATS", "RawFrames"]

# Bytes a pixel; FFmpeg's names.
RAW_FORMATS: Final = MappingProxyType(
    {
        "bgr24": Fraction(3),
        "rgb24": Fraction(3),
        "gray": Fraction(1),
        "yuv420p": Fraction(3, 2),
        "nv12": Fraction(3, 2),
    }
)
# Planes of YUV 4:2:0, one after the other, and OpenCV's code for them.
_PLANES: Final = MappingProxyType({"yuv420p": "COLOR_YUV2BGR_I420", "nv12": "COLOR_YUV2BGR_NV12"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFrames:
    """Raw frames of one size, in pixels, and one of `RAW_FORMATS`, without gaps between rows.

    Raises:
        SpecError: the format is unknown, or the size does not fit it.
    """

    height: int
    width: int
    format: str

    def __post_init__(self) -> None:
        check_number("height", self.height, least=1, whole=True)
        check_number("width", self.width, least=1, whole=True)
        if self.format not in RAW_FORMATS:
            raise SpecError(
                f"raw frames are {join_words([*RAW_FORMATS], 'or')}; got {self.format!r}"
            )
        if self.format in _PLANES and (self.height % 2 or self.width % 2):
            raise SpecError(
                f"{self.format} has a color for each 2x2 pixels, so height and width are even; got "
                f"{self.height}x{self.width}"
            )

    @property
    def size_bytes(self) -> int:
        """The bytes of one frame."""
        return int(self.height * self.width * RAW_FORMATS[self.format])

    def convert(self, content: bytes) -> Bgr:
        """Turn one frame into uint8 BGR (H, W, 3). YUV is read as BT.601 of video range.

        Raises:
            MissingPackageError: it is YUV, and OpenCV is not installed.
        """
        values = np.frombuffer(content, np.uint8)
        if self.format == "gray":
            return np.repeat(values.reshape(self.height, self.width, 1), 3, axis=2)
        if self.format in {"bgr24", "rgb24"}:
            pixels = values.reshape(self.height, self.width, 3)
            return pixels.copy() if self.format == "bgr24" else pixels[:, :, ::-1].copy()
        planes = values.reshape(self.height * 3 // 2, self.width)
        return convert_colors(planes, _PLANES[self.format], f"reading raw frames of {self.format}")
