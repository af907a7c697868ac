"""Scales the values of deep images, of 12 bits for example, to the 8 bits that a network takes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.data_rules import ValueRange

__all__ = ["scale_values"]

_WHITE: Final = 255
_SHORTS: Final = 1 << 16
# Rows at a time: the steps between take 8 bytes a value.
_ROWS: Final = 256


def scale_values(values: npt.NDArray[Any], value_range: ValueRange) -> npt.NDArray[np.uint8]:
    """Scale values of any shape and of any type of number to uint8 of the same shape.

    Between the ends of the range the map is linear, and halves are rounded up.
    """
    levels = _scale(np.arange(_SHORTS), value_range) if values.dtype == np.uint16 else None
    scaled = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):
        rows = values[top : top + _ROWS]
        scaled[top : top + _ROWS] = _scale(rows, value_range) if levels is None else levels[rows]
    return scaled


def _scale(values: npt.NDArray[Any], value_range: ValueRange) -> npt.NDArray[np.uint8]:
    low, high = value_range.low, value_range.high
    share = (values.astype(np.float64) - low) / (high - low)
    return np.floor(np.clip(share, 0, 1) * _WHITE + 0.5).astype(np.uint8)
