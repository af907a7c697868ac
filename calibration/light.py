"""Changes the light of images, as weather and sensors do.

Ranges that are found in good light alone cut off what a network computes in other light. These are
simple models of their own, not the corruptions that `verify --corruptions` judges by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgeseg.pixels import Bgr, Frame, fit_size, resize_image, to_input
from edgeseg.spec import RGB, InputSpec, Resize

__all__ = ["LIGHTS", "change_light", "light_every_other"]

_Unit: TypeAlias = npt.NDArray[np.float32]  # (H, W, C), 0..1

# Names the way light is changed. What was measured under another name cannot be used.
LIGHTS: Final = "one image of two, in turn: contrast, brightness, fog, contrast, noise, blur"
# How strong a change is comes from other random numbers than which image is changed.
_STRENGTH: Final = 1


def change_light(
    image: npt.NDArray[np.uint8], random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Give an image, uint8 (H, W, C), less contrast, other brightness, fog, noise or blur.

    Equal generators give equal results, of the same shape. An image that is not in color comes back
    as it is: what fog is to it, nobody knows.
    """
    if image.shape[2] != RGB:
        return image
    return _change(image, int(random.integers(len(_CHANGES))), random)


def light_every_other(
    reads: Sequence[Callable[[], Bgr]], spec: InputSpec
) -> list[Callable[[], Frame]]:
    """Make readers of a network's inputs, uint8 (1, H, W, C): of every two, one in other light.

    The kinds of light come in turn, low contrast first, so that few images show it, too. What pads
    an image to the input's shape stays as it is. An image gets the same light at each reading.
    Images that are not in color stay as they are.
    """
    if spec.channels != RGB:
        return [partial(_read, read, spec) for read in reads]
    pairs = range((len(reads) + 1) // 2)
    lit = {2 * pair + int(np.random.default_rng(pair).integers(2)): pair for pair in pairs}
    return [
        partial(_read_lit, read, spec, lit[place]) if place in lit else partial(_read, read, spec)
        for place, read in enumerate(reads)
    ]


def _read(read: Callable[[], Bgr], spec: InputSpec) -> Frame:
    return to_input(read(), spec)


def _read_lit(read: Callable[[], Bgr], spec: InputSpec, pair: int) -> Frame:
    image = read()
    frame = to_input(image, spec).copy()
    height, width = fit_size(image.shape[0], image.shape[1], spec)
    inside = frame[0, :height, :width]
    inside[:] = _change(inside, pair % len(_CHANGES), np.random.default_rng((pair, _STRENGTH)))
    return frame


def _change(
    image: npt.NDArray[np.uint8], kind: int, random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    unit = _CHANGES[kind](image.astype(np.float32) / np.float32(255), random)
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)


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
    for rows, columns in (small, (height, width)):
        image = resize_image(image, height=rows, width=columns, rule=Resize.PILLOW_BILINEAR)
    return image.astype(np.float32) / np.float32(255)


# Low contrast is what costs INT8 most, and comes twice as often as the others.
_CHANGES: Final[tuple[Callable[[_Unit, np.random.Generator], _Unit], ...]] = (
    _fade,
    _light,
    _fog,
    _fade,
    _make_noise,
    _blur,
)
