"""Adds weather to images: what falls between camera and scene, or lands on the lens."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.corruptions.blur import smear, soften
from edgeseg.corruptions.plasma import draw_plasma
from edgeseg.corruptions.units import PURPOSE, Unit
from edgeseg.machine.opencv import import_opencv

__all__ = ["fog", "snow", "spatter"]

_FOG: Final = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # strength, decay

Plane = npt.NDArray[np.float32]  # (H, W)


class _Snow(NamedTuple):
    """Constants of one severity."""

    mean: float  # of the noise whose peaks are flakes
    deviation: float  # of that noise
    zoom: float  # pixels for each value of that noise
    threshold: float  # a peak exceeds it
    radius: int  # of the blur along the flakes' fall, in pixels
    sigma: float  # of that blur, in pixels
    kept: float  # the share of the scene that is not paled


_SNOW: Final = (
    _Snow(0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    _Snow(0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    _Snow(0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    _Snow(0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    _Snow(0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)


class _Liquid(NamedTuple):
    mean: float  # of the noise whose peaks are drops
    deviation: float  # of that noise
    sigma: float  # of the blur that gives drops their size, in pixels
    threshold: float  # a peak exceeds it


class _Water(NamedTuple):
    liquid: _Liquid
    opacity: float


class _Mud(NamedTuple):
    liquid: _Liquid
    edge: float  # sigma of the blur of its edges, in pixels


_SPATTER: Final = (
    _Water(_Liquid(0.65, 0.3, 4, 0.69), opacity=0.6),
    _Water(_Liquid(0.65, 0.3, 3, 0.68), opacity=0.6),
    _Water(_Liquid(0.65, 0.3, 2, 0.68), opacity=0.5),
    _Mud(_Liquid(0.65, 0.3, 1, 0.65), edge=1.5),
    _Mud(_Liquid(0.67, 0.4, 1, 0.65), edge=1.5),
)
_PALE_TURQUOISE: Final = np.array((238, 238, 175), np.float32) / np.float32(255)  # BGR
_BROWN: Final = np.array((20, 42, 63), np.float32) / np.float32(255)  # BGR
_MUD_THRESHOLD: Final = 0.8  # thinner liquid does not stick
_RIM_PX: Final = 20  # how far from a drop's edge its shading reaches
_EMBOSS: Final = np.array(((-2, -1, 0), (-1, 1, 1), (0, 1, 2)), np.float32)


def snow(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Pale the scene, and let flakes fall in one direction within 45 degrees of the vertical.

    This differs from the published code in four points. Flakes are not rounded to 8 bits before
    they are smeared. Their noise is drawn at the size that is zoomed, not cut out of a larger one.
    OpenCV's bilinear rule zooms it. The image is reflected at its edges.
    """
    cv2 = import_opencv(PURPOSE)
    fall = random.uniform(-135, -45)
    mean, deviation, zoom, threshold, radius, sigma, kept = _SNOW[severity - 1]
    height, width = unit.shape[:2]
    coarse = _draw_normal(
        random, mean, deviation, (math.ceil(height / zoom), math.ceil(width / zoom))
    )
    noise = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    peaks = np.where(noise < threshold, np.float32(0), np.minimum(noise, 1))
    flakes = smear(peaks, radius=radius, sigma=sigma, degrees=fall)
    gray = cv2.cvtColor(unit, cv2.COLOR_BGR2GRAY)[..., None]
    pale = np.maximum(unit, 1.5 * gray + 0.5)
    scene = np.float32(kept) * unit + np.float32(1 - kept) * pale
    return np.asarray(scene + (flakes + flakes[::-1, ::-1])[..., None], np.float32)


def spatter(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Put drops of water on the lens up to severity 3, and mud from 4 on."""
    match _SPATTER[severity - 1]:
        case _Water(liquid, opacity):
            shine = _shade_drops(_draw_drops(unit, liquid, random))[..., None]
            wet: Unit = unit + np.float32(opacity) * shine * _PALE_TURQUOISE
            return wet
        case _Mud(liquid, edge):
            spots = (_draw_drops(unit, liquid, random) > 0).astype(np.float32)
            cover = soften(spots, edge)
            cover = np.where(cover < _MUD_THRESHOLD, np.float32(0), cover)[..., None]
            dirty: Unit = unit * (1 - cover) + cover * _BROWN
            return dirty


def fog(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Lay clouds over everything, near and far alike, never brighter than the image's maximum.

    The cloud's side is the next power of two that covers the image (Michaelis et al. 2019).
    """
    strength, decay = _FOG[severity - 1]
    height, width = unit.shape[:2]
    side = 1 << (max(height, width) - 1).bit_length()
    cloud = draw_plasma(side, decay=decay, random=random)[:height, :width, None]
    brightest = unit.max()
    added = np.float32(strength)
    hidden: Unit = (unit + added * cloud) * (brightest / (brightest + added))
    return hidden


def _draw_normal(
    random: np.random.Generator, mean: float, deviation: float, shape: tuple[int, int]
) -> Plane:
    drawn = random.standard_normal(shape, np.float32)
    return np.float32(mean) + np.float32(deviation) * drawn


def _draw_drops(unit: Unit, liquid: _Liquid, random: np.random.Generator) -> Plane:
    """Draw how thick the liquid is: smooth noise above a threshold, else 0."""
    noise = _draw_normal(random, liquid.mean, liquid.deviation, (unit.shape[0], unit.shape[1]))
    smooth = soften(noise, liquid.sigma)
    return np.where(smooth > liquid.threshold, smooth, np.float32(0))


def _shade_drops(drops: Plane) -> Plane:
    """Compute the light that drops catch, 0..1: their thickness, shaded at one side of the rims."""
    cv2 = import_opencv(PURPOSE)
    rims = cv2.Canny((np.clip(drops, 0, 1) * 255).astype(np.uint8), 50, 150)
    distance = np.minimum(cv2.distanceTransform(255 - rims, cv2.DIST_L2, 5), _RIM_PX)
    relief = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
    shade = cv2.blur(cv2.filter2D(relief, cv2.CV_8U, _EMBOSS), (3, 3))
    shine = drops * shade.astype(np.float32)
    brightest = np.maximum(shine.max(), np.float32(1))  # 1 where there is no drop
    lit: Plane = shine / brightest
    return lit
