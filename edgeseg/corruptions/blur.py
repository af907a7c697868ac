"""Blurs images, as a lens, a pane of glass or a moving camera does."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeseg.corruptions.units import PURPOSE, Unit
from edgeseg.machine.opencv import import_opencv

__all__ = [
    "defocus_blur",
    "frosted_glass_blur",
    "gaussian_blur",
    "motion_blur",
    "smear",
    "soften",
]

_DEFOCUS: Final = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius, sigma of its edge
# Sigma, farthest jump of a pixel, number of jumps.
_GLASS: Final = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
_MOTION: Final = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # radius, sigma
_GAUSSIAN_SIGMA: Final = (1, 2, 3, 4, 6)


def defocus_blur(unit: Unit, severity: int, _: np.random.Generator, /) -> Unit:
    """Spread each point into a disk with a soft edge, as a lens out of focus does.

    From severity 4 on the image also becomes 1 % brighter, as in the published code. The disk fills
    its window there, and the part of the soft edge beyond the window is reflected into it.
    """
    cv2 = import_opencv(PURPOSE)
    radius, sigma = _DEFOCUS[severity - 1]
    side = np.arange(-max(8, radius), max(8, radius) + 1)
    disk = (side**2 + side[:, None] ** 2 <= radius**2).astype(np.float32)
    window = (3, 3) if radius <= 8 else (5, 5)
    kernel = cv2.GaussianBlur(disk / disk.sum(), window, sigmaX=sigma)
    return np.asarray(cv2.filter2D(unit, -1, kernel), np.float32)


def frosted_glass_blur(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Let pixels jump about between two Gaussian blurs.

    All pixels take the value of a neighbor at once, from any side with the same chance. The
    published code exchanges pixels one after another, and leaves out those near the edges. It also
    jumps one pixel less down and to the right, which moves the image.
    """
    sigma, reach, jumps = _GLASS[severity - 1]
    height, width = unit.shape[:2]
    shaken = soften(unit, sigma)
    for _ in range(jumps):
        down, across = random.integers(-reach, reach, (2, height, width), endpoint=True)
        rows = np.clip(np.arange(height)[:, None] + down, 0, height - 1)
        columns = np.clip(np.arange(width) + across, 0, width - 1)
        shaken = shaken[rows, columns]
    return soften(shaken, sigma)


def motion_blur(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Smear everything along one line, drawn at random within 45 degrees of the horizontal.

    Beyond the edges the image is reflected; in the published code its border is repeated.
    """
    radius, sigma = _MOTION[severity - 1]
    return smear(unit, radius=radius, sigma=sigma, degrees=random.uniform(-45, 45))


def gaussian_blur(unit: Unit, severity: int, _: np.random.Generator, /) -> Unit:
    """Blur with a Gaussian."""
    return soften(unit, _GAUSSIAN_SIGMA[severity - 1])


def soften(unit: Unit, sigma: float) -> Unit:
    """Blur (H, W) or (H, W, 3) with a Gaussian, cut off at 4 sigma. The border is repeated."""
    cv2 = import_opencv(PURPOSE)
    # OpenCV makes the window 4 sigma wide on either side for float images.
    blurred = cv2.GaussianBlur(unit, (0, 0), sigmaX=sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def smear(unit: Unit, *, radius: int, sigma: float, degrees: float) -> Unit:
    """Blur (H, W) or (H, W, 3) along a line. The image is reflected at its edges.

    The line starts at the pixel, is two radii long, and fades as half a Gaussian, as in the
    published procedure (ImageMagick's motion blur). It lies on one side of the pixel, so the image
    also moves, by up to 0.8 sigma. `degrees` are measured from the horizontal.
    """
    cv2 = import_opencv(PURPOSE)
    reach = 2 * radius
    steps = np.arange(reach + 1)
    rows = np.rint(steps * np.sin(np.radians(degrees))).astype(np.intp)
    columns = np.rint(steps * np.cos(np.radians(degrees))).astype(np.intp)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    # Two steps may fall on the same pixel.
    np.add.at(kernel, (reach + rows, reach + columns), np.exp(-(steps**2) / (2 * sigma**2)))
    return np.asarray(cv2.filter2D(unit, -1, kernel / kernel.sum()), np.float32)
