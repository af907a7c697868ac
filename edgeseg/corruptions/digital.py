"""Corrupts images as digital processing does: exposure, tone, color and compression."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeseg.corruptions.units import PURPOSE, Unit, to_bytes, to_unit
from edgeseg.machine.opencv import import_opencv

__all__ = ["brightness", "contrast", "jpeg", "saturate"]

_BRIGHTNESS: Final = (0.1, 0.2, 0.3, 0.4, 0.5)
_CONTRAST: Final = (0.4, 0.3, 0.2, 0.1, 0.05)  # the share of contrast that is left
_SATURATION: Final = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))  # factor, shift
_JPEG_QUALITY: Final = (25, 18, 15, 10, 7)

_SATURATION_CHANNEL: Final = 1  # of hue, saturation, value
_VALUE_CHANNEL: Final = 2


def brightness(unit: Unit, severity: int, _: np.random.Generator, /) -> Unit:
    """Raise the value, in the space of hue, saturation and value."""
    return _scale_hsv_channel(unit, _VALUE_CHANNEL, factor=1, shift=_BRIGHTNESS[severity - 1])


def contrast(unit: Unit, severity: int, _: np.random.Generator, /) -> Unit:
    """Move each channel toward its mean over the image."""
    mean = unit.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    flat: Unit = (unit - mean) * np.float32(_CONTRAST[severity - 1]) + mean
    return flat


def saturate(unit: Unit, severity: int, _: np.random.Generator, /) -> Unit:
    """Fade colors at severities 1 and 2, and strengthen them from 3 on, where grays turn red.

    A gray has no hue, which is stored as that of red.
    """
    factor, shift = _SATURATION[severity - 1]
    return _scale_hsv_channel(unit, _SATURATION_CHANNEL, factor=factor, shift=shift)


def jpeg(unit: Unit, severity: int, _: np.random.Generator, /) -> Unit:
    """Compress as JPEG and decode again, with OpenCV; the published code uses Pillow."""
    cv2 = import_opencv(PURPOSE)
    quality = (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY[severity - 1])
    _written, stream = cv2.imencode(".jpg", to_bytes(unit), quality)
    return to_unit(cv2.imdecode(stream, cv2.IMREAD_COLOR))


def _scale_hsv_channel(unit: Unit, channel: int, *, factor: float, shift: float) -> Unit:
    """Scale and shift a channel in the space of hue, saturation and value."""
    cv2 = import_opencv(PURPOSE)
    hsv = cv2.cvtColor(unit, cv2.COLOR_BGR2HSV)
    hsv[..., channel] = np.clip(factor * hsv[..., channel] + shift, 0, 1)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.float32)
