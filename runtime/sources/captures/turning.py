"""Turns the frames of a clip upright, as its container asks: phones store them unturned."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from edgeseg.machine.opencv import import_opencv
from edgeseg.pixels import Bgr
from edgeseg.runtime.sources.captures import properties

__all__ = ["make_turner"]

# OpenCV 4.6.0 gives the angle with the wrong sign, and would turn such clips upside down.
_WRONG_WAY: Final = "4.6.0"
# By degrees clockwise: quarters counterclockwise.
_QUARTERS: Final = MappingProxyType({90: 3, 180: 2, 270: 1})


def make_turner(device: Any) -> Callable[[Bgr], Bgr]:  # noqa: ANN401  # cv2.VideoCapture
    """Make a function that turns this capture's frames upright; stop the capture from turning them.

    OpenCV's versions differ in whether and how they turn frames. The angle that they give is right
    in every version except 4.6.0.
    """
    device.set(properties.ORIENTATION_AUTO, 0)
    clockwise = round(device.get(properties.ORIENTATION)) % 360
    if clockwise and device.getBackendName() != properties.PYAV and _tells_wrong_way():
        clockwise = -clockwise % 360
    if clockwise not in _QUARTERS:
        return lambda frame: frame
    return lambda frame: _turn(frame, _QUARTERS[clockwise])


def _tells_wrong_way() -> bool:
    return str(import_opencv("reading frames").__version__).startswith(_WRONG_WAY)


def _turn(frame: Bgr, quarters: int) -> Bgr:
    """Turn a frame by so many quarters counterclockwise, as `np.rot90`; pixels move as a whole."""
    pixels = np.ascontiguousarray(frame).view("V3")[:, :, 0]
    turned = np.ascontiguousarray(np.rot90(pixels, quarters))
    return turned.view(np.uint8).reshape(*turned.shape, 3)
