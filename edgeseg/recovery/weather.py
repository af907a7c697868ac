"""Changes images as light, weather and sensors do, so that what is trained does not become brittle.

These are simple models of their own, not the corruptions that `verify --corruptions` judges by:
what is judged is not what was trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgeseg.pixels import ClassMap, resize_ids
from edgeseg.recovery.example import Example

__all__ = ["disturb"]

_Unit: TypeAlias = npt.NDArray[np.float32]  # (H, W, C), 0..1

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
        change = _CHANGES[random.integers(len(_CHANGES))]
        unit = change(image.astype(np.float32) / np.float32(255), random)
        image = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
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
    return _resize(image[rows[:, None], columns], (height, width))


def _crop_ids(ids: ClassMap, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> ClassMap:
    height, width = ids.shape
    return resize_ids(ids[rows[:, None], columns], height=height, width=width)


def _resize(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    planes = [
        np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR))
        for plane in np.moveaxis(image, 2, 0)
    ]
    return np.stack(planes, axis=2)


def _fade(unit: _Unit, random: np.random.Generator) -> _Unit:
    """Lower the contrast around the mean of each channel, to a tenth at worst.

    Half of what is left is as frequent as all of it.
    """
    mean = unit.mean(axis=(0, 1), keepdims=True)
    left = np.float32(np.exp(random.uniform(np.log(0.1), 0.0)))
    faded: _Unit = mean + left * (unit - mean)
    return faded


def _light(unit: _Unit, random: np.random.Generator) -> _Unit:
    """Make it darker or brighter."""
    return unit + np.float32(random.uniform(-0.3, 0.5))


def _fog(unit: _Unit, random: np.random.Generator) -> _Unit:
    """Mix with light gray clouds."""
    height, width = unit.shape[:2]
    clouds = np.zeros((height, width), np.float32)
    for cells in (2, 4, 8, 16):
        coarse = random.uniform(0, 1, (cells + 1, cells + 1)).astype(np.float32)
        spread = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        clouds += np.asarray(spread) / cells
    clouds = (clouds - clouds.min()) / max(float(np.ptp(clouds)), 1e-6)
    dense = np.float32(random.uniform(0.2, 0.8)) * clouds[:, :, None]
    hidden: _Unit = unit * (1 - dense) + np.float32(random.uniform(0.6, 1.0)) * dense
    return hidden


def _make_noise(unit: _Unit, random: np.random.Generator) -> _Unit:
    """Add a sensor's noise."""
    sigma = random.uniform(0.01, 0.15)
    return unit + random.normal(0, sigma, unit.shape).astype(np.float32)


def _blur(unit: _Unit, random: np.random.Generator) -> _Unit:
    """Blur as a lens out of focus does, by shrinking and enlarging."""
    height, width = unit.shape[:2]
    factor = random.uniform(1.5, 5.0)
    small = max(1, round(height / factor)), max(1, round(width / factor))
    image = np.rint(unit * 255).astype(np.uint8)
    return _resize(_resize(image, small), (height, width)).astype(np.float32) / np.float32(255)


# Low contrast is what costs INT8 most, and comes twice as often as the others.
_CHANGES: Final[tuple[Callable[[_Unit, np.random.Generator], _Unit], ...]] = (
    _fade,
    _fade,
    _light,
    _fog,
    _make_noise,
    _blur,
)
