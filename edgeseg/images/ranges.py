"""Maps the values of deep images, of 12 bits for example, to the 8 bits that a network takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SpecError

__all__ = ["ValueRange", "parse_range"]

_WHITE: Final = 255
# Rows at a time: the steps between take 8 bytes a value.
_ROWS: Final = 256


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The values of a file that become 0 and 255; those between become what is nearest.

    Values below `low` become 0, and those above `high` 255. Halves are rounded up.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise SpecError(f"the range {self} must rise from LOW to HIGH, such as 0,4095")

    def __str__(self) -> str:
        """Write it as the option takes it."""
        return f"{self.low:g},{self.high:g}"

    def scale(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Scale values of any shape and of any type of number to uint8 of the same shape."""
        if values.dtype in {np.dtype(np.uint8), np.dtype(np.uint16)}:
            levels = self._scale(np.arange(1 << 8 * values.dtype.itemsize))
            return np.take(levels, values)
        scaled = np.empty(values.shape, np.uint8)
        for top in range(0, len(values), _ROWS):
            scaled[top : top + _ROWS] = self._scale(values[top : top + _ROWS])
        return scaled

    def _scale(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        share = (values.astype(np.float64) - self.low) / (self.high - self.low)
        return np.floor(np.clip(share, 0, 1) * _WHITE + 0.5).astype(np.uint8)


def parse_range(text: str) -> ValueRange:
    """Parse `LOW,HIGH`.

    Raises:
        SpecError: these are not two numbers, or the first is not the lower one.
    """
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise SpecError(f"{text!r} is no range LOW,HIGH of values, such as 0,4095") from None
    return ValueRange(low, high)
