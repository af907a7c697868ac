"""Changes images as light, weather and sensors do, so that what is trained does not become brittle.

These are simple models of their own, not the corruptions that `verify --corruptions` judges by:
what is judged is not what was trained on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.calibration.light import change_light
from edgeseg.pixels import ClassMap, resize_ids, resize_image
from edgeseg.recovery.example import Example
from edgeseg.spec import Resize

__all__ = ["disturb"]

# Half of the images stay as they are.
_SHARE: Final = 0.5


def disturb(example: Example, random: np.random.Generator) -> Example:
    """Crop an example, flip it, and change its light, or leave it.

    Equal generators give equal results, of the same shape. The ground truth follows the crop.
    """
    rows, columns = _draw_crop(example.frame.shape[1:3], random)
    if random.random() < 0.5:
        columns = columns[::-1]
    image = _crop(example.frame[0], rows, columns)
    truth = example.truth
    if truth is not None:
        truth = _crop_ids(truth, rows, columns)
    if random.random() < _SHARE:
        image = change_light(image, random)
    return replace(example, frame=np.ascontiguousarray(image)[None], truth=truth)


def _draw_crop(
    size: tuple[int, ...], random: np.random.Generator
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Draw the rows and columns of a part of the same shape, of half to all of the height."""
    height, width = size
    share = random.uniform(0.5, 1.0)
    high, wide = max(1, round(share * height)), max(1, round(share * width))
    top, left = random.integers(height - high + 1), random.integers(width - wide + 1)
    return np.arange(top, top + high), np.arange(left, left + wide)


def _crop(
    image: npt.NDArray[np.uint8], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> npt.NDArray[np.uint8]:
    """Cut out a part, and enlarge it to the image's size."""
    height, width, _ = image.shape
    part = image[rows[:, None], columns]
    return resize_image(part, height=height, width=width, rule=Resize.PILLOW_BILINEAR)


def _crop_ids(ids: ClassMap, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> ClassMap:
    height, width = ids.shape
    return resize_ids(ids[rows[:, None], columns], height=height, width=width)
