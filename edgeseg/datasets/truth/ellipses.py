"""Fills ellipses as CVAT does in the masks that it exports: with OpenCV."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeseg.datasets.truth.outlines import check_points
from edgeseg.errors import MissingPackageError
from edgeseg.machine.extras import make_install_command

__all__ = ["fill_ellipse"]


def fill_ellipse(
    numbers: tuple[float, float, float, float, float], height: int, width: int
) -> npt.NDArray[np.bool_]:
    """Fill an ellipse as a mask (height, width).

    `numbers` are the center's x and y, the two radii, and the rotation in degrees, clockwise.

    Raises:
        ValueError: it lies or reaches far outside the image.
        MissingPackageError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise MissingPackageError(
            "OpenCV", purpose="drawing ellipses", command=make_install_command(["opencv"])
        ) from None
    x, y, across, down, angle = numbers
    check_points(np.array([[x, y], [x + across, y + down]]), height, width)
    if min(across, down) < 0 or not np.isfinite(angle):
        raise ValueError("is an ellipse without an area")
    drawn = np.zeros((height, width), np.uint8)
    center, axes = (round(x), round(y)), (round(across), round(down))
    cv2.ellipse(drawn, center, axes, angle, 0, 360, 1, -1)
    filled: npt.NDArray[np.bool_] = drawn != 0
    return filled
