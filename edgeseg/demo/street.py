"""Draws the properties of one drive: the street's measures, the weather, the camera."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from edgeseg.demo.noise import Array

__all__ = ["Street", "Weather", "draw_street"]

Bgr = tuple[float, float, float]  # 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Light and air. `gain` multiplies all colors, `haze` is the color of what is far away.

    `zenith` is the color of the sky above. `visibility` is the distance, in meters, at which 1/e of
    a thing's own color is left.
    """

    gain: Bgr
    haze: Bgr
    zenith: Bgr
    visibility: float
    sunny: bool = False
    wet: bool = False


WEATHERS: Final = MappingProxyType(
    {
        "clear": Weather(
            gain=(1.0, 1.0, 1.02),
            haze=(0.92, 0.86, 0.78),
            zenith=(0.86, 0.58, 0.32),
            visibility=260,
            sunny=True,
        ),
        "overcast": Weather(
            gain=(0.92, 0.9, 0.88),
            haze=(0.82, 0.81, 0.8),
            zenith=(0.72, 0.7, 0.68),
            visibility=180,
        ),
        "fog": Weather(
            gain=(0.95, 0.95, 0.95),
            haze=(0.84, 0.84, 0.84),
            zenith=(0.8, 0.8, 0.8),
            visibility=38,
        ),
        "dusk": Weather(
            gain=(0.62, 0.6, 0.78),
            haze=(0.55, 0.6, 0.85),
            zenith=(0.45, 0.32, 0.28),
            visibility=200,
            sunny=True,
        ),
        "rain": Weather(
            gain=(0.72, 0.7, 0.68),
            haze=(0.7, 0.69, 0.68),
            zenith=(0.6, 0.59, 0.58),
            visibility=90,
            wet=True,
        ),
    }
)
# How often each weather occurs: half of the drives are in clear weather or under clouds.
_MET: Final = ("clear", "clear", "overcast", "fog", "dusk", "rain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """The street's measures in meters, the camera and the weather.

    `focal` is in image widths, and `horizon` in image heights from the top.
    """

    half_road: float
    pavement: float
    lane: float  # the camera's place, to the right of the middle
    camera_height: float
    focal: float
    horizon: float
    sun: float  # -1 from the left to 1 from the right; 0 where there is none
    gain: Array
    haze: Array
    zenith: Array
    visibility: float
    clouds: float
    wet: bool
    noise: float
    greenery: float  # share of the lots with trees behind a fence, not a building
    asphalt: float
    slabs: float
    yellow_paint: bool

    @property
    def wall(self) -> float:
        """The distance from the middle to the lots, in meters."""
        return self.half_road + self.pavement


def draw_street(seed: int) -> Street:
    """Draw a street; the same for the same seed."""
    random = np.random.default_rng((seed, 1))
    weather = WEATHERS[random.choice(_MET)]
    sun = random.choice([-1, 1]) * random.uniform(0.3, 1) if weather.sunny else 0.0
    zenith = np.array(weather.zenith) + random.uniform(-0.05, 0.05, 3)
    return Street(
        half_road=random.uniform(3.2, 5.5),
        pavement=random.uniform(2.0, 3.6),
        lane=random.uniform(-1.6, 1.6),
        camera_height=random.uniform(1.25, 1.9),
        focal=random.uniform(0.75, 1.15),
        horizon=random.uniform(0.40, 0.54),
        sun=float(sun),
        gain=(np.array(weather.gain) * random.uniform(0.82, 1.12)).astype(np.float32),
        haze=np.array(weather.haze, np.float32),
        zenith=np.clip(zenith, 0, 1).astype(np.float32),
        visibility=weather.visibility * random.uniform(0.8, 1.2),
        clouds=random.uniform(0, 0.8),
        wet=weather.wet,
        noise=random.uniform(0.008, 0.03),
        greenery=random.uniform(0.15, 0.6),
        asphalt=random.uniform(0.75, 1.2),
        slabs=random.uniform(0.8, 1.15),
        yellow_paint=bool(random.random() > 0.85),
    )
