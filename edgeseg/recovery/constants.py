"""Makes the constants of a program, each with the size of a small step of it."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgeseg.recovery.program import Array, Constant, Kind

__all__ = ["make_fixed", "make_float_weight", "make_quantized_weight", "make_scale", "make_shift"]

# A small step, as a share of a constant's mean magnitude. Those of INT8 weights are a quantizer's
# step, which is about a thirtieth of their mean magnitude.
_OF_WEIGHTS: Final = 1 / 32
_OF_SHIFTS: Final = 1 / 100
_OF_SCALES: Final = 1 / 200
_LEAST: Final = 1e-4


def make_fixed(value: Array) -> Constant:
    """Make a constant that stays as it is."""
    return Constant(value=value, kind=Kind.FIXED, unit=np.zeros_like(value))


def make_quantized_weight(value: Array, step: Array) -> Constant:
    """Make a weight that a quantizer rounds to whole steps."""
    unit = np.broadcast_to(step, value.shape).astype(np.float32)
    return Constant(value=value, kind=Kind.WEIGHT, unit=unit)


def make_float_weight(value: Array) -> Constant:
    """Make a weight that no quantizer rounds."""
    return Constant(value=value, kind=Kind.WEIGHT, unit=_share(value, _OF_WEIGHTS))


def make_shift(value: Array) -> Constant:
    """Make a bias, or the gain or shift of a LayerNorm."""
    return Constant(value=value, kind=Kind.SHIFT, unit=_share(value, _OF_SHIFTS))


def make_scale(value: Array) -> Constant:
    """Make the step of a quantizer."""
    return Constant(value=value, kind=Kind.SCALE, unit=value * np.float32(_OF_SCALES))


def _share(value: Array, share: float) -> Array:
    return np.full_like(value, max(float(np.abs(value).mean()) * share, _LEAST))
