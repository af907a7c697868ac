"""Adds the noise of a sensor: each value of each channel is disturbed on its own."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeseg.corruptions.units import Unit

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"]

_GAUSSIAN_SIGMA: Final = (0.08, 0.12, 0.18, 0.26, 0.38)
_SHOT_PHOTONS: Final = (60, 25, 12, 5, 3)  # photons that white sends
_IMPULSE_SHARE: Final = (0.03, 0.06, 0.09, 0.17, 0.27)
_SPECKLE_SIGMA: Final = (0.15, 0.2, 0.35, 0.45, 0.6)


def gaussian_noise(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Add normal noise, the same everywhere, as an amplifier does in low light."""
    sigma = np.float32(_GAUSSIAN_SIGMA[severity - 1])
    return unit + sigma * random.standard_normal(unit.shape, np.float32)


def shot_noise(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Replace each value by a count of photons that fluctuates around it (Poisson noise)."""
    photons = _SHOT_PHOTONS[severity - 1]
    return random.poisson(unit * photons).astype(np.float32) / np.float32(photons)


def impulse_noise(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Add salt and pepper: a share of the values becomes 0 or 1, both equally often."""
    share = _IMPULSE_SHARE[severity - 1]
    drawn = random.random(unit.shape, np.float32)
    salted = np.where(drawn < share / 2, np.float32(1), unit)
    return np.where(drawn >= 1 - share / 2, np.float32(0), salted)


def speckle_noise(unit: Unit, severity: int, random: np.random.Generator, /) -> Unit:
    """Add normal noise in proportion to the value."""
    sigma = np.float32(_SPECKLE_SIGMA[severity - 1])
    return unit + unit * (sigma * random.standard_normal(unit.shape, np.float32))
