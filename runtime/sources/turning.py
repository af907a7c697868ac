"""Turns the frames of a clip upright, as its container asks: phones store them unturned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from edgeseg.machine.opencv import import_opencv
from edgeseg.pixels import Bgr

__all__ = ["make_turner"]

# OpenCV 4.6.0 gives the angle with the wrong sign, and would turn such clips upside down.
_WRONG_WAY: Final = "4.6.0"


def make_turner(device: Any) -> Callable[[Bgr], Bgr]:  # noqa: ANN401  # cv2.VideoCapture
    """Make a function that turns this capture's frames upright; stop OpenCV from turning them.

    OpenCV's versions differ in whether and how they turn frames. The angle that they give is right
    in every version except 4.6.0.
    """
    cv2 = import_opencv("reading frames")
    device.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    clockwise = round(device.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
    if cv2.__version__.startswith(_WRONG_WAY):
        clockwise = -clockwise % 360
    codes = {
        90: cv2.ROTATE_90_CLOCKWISE,
        180: cv2.ROTATE_180,
        270: cv2.ROTATE_90_COUNTERCLOCKWISE,
    }
    if clockwise not in codes:
        return lambda frame: frame
    return lambda frame: cv2.rotate(frame, codes[clockwise])
