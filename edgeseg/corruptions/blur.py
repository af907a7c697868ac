"""What a lens, a pane, or a moving camera washes out."""

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
    """Each point becomes a disk with a soft edge, as an open lens images what it is not set to.

    As published, it also brightens by 1 % where the disk fills its window, from severity 4 on:
    what the soft edge loses there is reflected.
    """
    cv2 = import_opencv(PURPOSE)
    radius, sigma = _DEFOCUS[severity - 1]
    side = np.arange(-max(8, radius), max(8, radius) + 1)
    disk = (side**2 + side[:, None] ** 2 <= radius**2).astype(np.float32)
    window = (3, 3) if radius <= 8 else (5, 5)
    kernel = cv2.GaussianBlur(disk / disk.sum(), window, sigmaX=sigma)
    return np.asarray(cv2.filter2D(unit, -1, kernel), np.float32)


def frosted_glass_blur(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Pixels jump about between two Gaussian blurs.

    Not as published: there pixels are exchanged one after another, all but those within a jump of
    the edges, and a jump is one shorter down and to the right, which moves the image. Here each
    takes the value of a neighbor, all at once, from every side alike.
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
    """Everything is smeared along one line, drawn within 45 degrees of the horizontal.

    Not as published: what lies beyond the edges is their reflection, not their repetition.
    """
    radius, sigma = _MOTION[severity - 1]
    return smear(unit, radius=radius, sigma=sigma, degrees=random.uniform(-45, 45))


def gaussian_blur(unit: Unit, severity: int, _: np.random.Generator, /) -> Unit:
    """A Gaussian blur."""
    return soften(unit, _GAUSSIAN_SIGMA[severity - 1])


def soften(unit: Unit, sigma: float) -> Unit:
    """A Gaussian blur of (H, W) or (H, W, 3), cut at 4 sigma, with the edges repeated."""
    cv2 = import_opencv(PURPOSE)
    # Of float images OpenCV itself makes the window 4 sigma wide on either side.
    blurred = cv2.GaussianBlur(unit, (0, 0), sigmaX=sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def smear(unit: Unit, *, radius: int, sigma: float, degrees: float) -> Unit:
    """Blur (H, W) or (H, W, 3) along a line, with the edges reflected.

    The line starts at the pixel, is two radii long, and fades as half a Gaussian: the published
    procedure's own (ImageMagick's motion blur), so what is smeared also moves, by up to 0.8 sigma.
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
