"""Resizes frames as Pillow does: which pixels each pixel blends, and their weights.

Pillow computes in fixed point on uint8: weights have 22 fractional bits, and each of the two passes
rounds to uint8. Positions and weights are computed in float64, by Pillow's documented filters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from edgeseg.pixels import Bgr
from edgeseg.runtime.gpu.steps import Indices, Step, pick
from edgeseg.spec import Resize

__all__ = ["list_pillow_ways"]

_BITS: Final = 22


def list_pillow_ways(
    size: tuple[int, int], fitted: tuple[int, int], rule: Resize
) -> list[tuple[Step, ...]]:
    """List the ways from an image of `size` to one of `fitted`, (height, width) in pixels.

    Versions of Pillow differ in which pass comes first, and some choose by the sizes. A pass that
    changes no size changes no pixel.
    """
    if rule is Resize.PILLOW_NEAREST:
        rows, columns = (_pick_nearest(*ends) for ends in zip(fitted, size, strict=True))
        return [(pick(rows, columns, size[1]),)]
    down, across = (_find_windows(*ends, rule) for ends in zip(fitted, size, strict=True))
    return [
        (_resize_across(across, size[0], size[1]), _resize_down(down, fitted[1])),
        (_resize_down(down, size[1]), _resize_across(across, fitted[0], size[1])),
    ]


class _Windows(NamedTuple):
    """The inputs that each output blends: a window from `first` on, and weights."""

    first: Indices  # (outputs,)
    length: Indices  # (outputs,)
    weights: Indices  # (longest window, outputs), in units of 2**-22; 0 beyond a window

    def weigh(self, lines: Bgr) -> Bgr:
        """Blend uint8 (..., inputs, values) to (..., outputs, values)."""
        shape = (*lines.shape[:-2], len(self.first), lines.shape[-1])
        total = np.full(shape, 1 << (_BITS - 1), np.int32)
        for tap, weights in enumerate(self.weights):
            inputs = np.minimum(self.first + tap, lines.shape[-2] - 1)
            part = lines.take(inputs, axis=-2).astype(np.int32)
            part *= weights[:, None]
            total += part
        total >>= _BITS
        blended: Bgr = np.clip(total, 0, 255).astype(np.uint8)
        return blended

    @property
    def tables(self) -> dict[str, Indices]:
        """The tables of the kernels, in their order."""
        return {"first": self.first, "length": self.length, "weights": self.weights}


def _resize_across(windows: _Windows, height: int, width: int) -> Step:
    outputs = len(windows.first)
    return Step(
        "resize_across",
        windows.tables,
        (height, width, outputs),
        (height, outputs),
        windows.weigh,
    )


def _resize_down(windows: _Windows, width: int) -> Step:
    outputs = len(windows.first)

    def compute(images: Bgr) -> Bgr:
        # A row of pixels is a row of values.
        rows = windows.weigh(images.reshape(*images.shape[:-2], -1))
        return rows.reshape(*rows.shape[:-1], width, 3)

    return Step("resize_down", windows.tables, (width, outputs), (outputs, width), compute)


def _pick_nearest(outputs: int, inputs: int) -> Indices:
    """Find the nearest inputs. Pillow adds up the steps, which is not quite a multiplication."""
    steps = np.full(outputs, inputs / outputs)
    steps[0] /= 2
    nearest: Indices = np.minimum(np.cumsum(steps), inputs - 1).astype(np.int32)
    return nearest


def _find_windows(outputs: int, inputs: int, rule: Resize) -> _Windows:
    """Find the windows. Where an image shrinks, the filter is as many times wider: antialiasing."""
    reach, filter_ = _FILTERS[rule]
    scale = inputs / outputs
    widening = max(scale, 1.0)
    support = reach * widening
    windows = []
    for output in range(outputs):
        center = (output + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        last = min(int(center + support + 0.5), inputs)
        values = [
            filter_((at + first - center + 0.5) * (1.0 / widening)) for at in range(last - first)
        ]
        windows.append((first, _round_shares(values)))
    weights = np.zeros((max(len(each) for _, each in windows), outputs), np.int32)
    for output, (_, each) in enumerate(windows):
        weights[: len(each), output] = each
    starts = np.array([first for first, _ in windows], np.int32)
    lengths = np.array([len(each) for _, each in windows], np.int32)
    return _Windows(starts, lengths, weights)


def _round_shares(values: list[float]) -> list[int]:
    """Scale values to the sum 1 and round them, halves away from zero."""
    total = 0.0
    for value in values:  # from Python 3.12 on, sum() rounds once
        total += value
    shares = [value / total if total else value for value in values]
    return [int(share * (1 << _BITS) + math.copysign(0.5, share)) for share in shares]


def _bilinear(x: float) -> float:
    return max(1.0 - abs(x), 0.0)


def _bicubic(x: float) -> float:
    """Keys's cubic convolution with a = -0.5."""
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * -0.5 if x < 2 else 0.0


def _lanczos(x: float) -> float:
    """The sinc function, windowed by a sinc three times as wide."""
    return _sinc(x) * _sinc(x / 3) if -3 <= x < 3 else 0.0


def _sinc(x: float) -> float:
    return math.sin(x * math.pi) / (x * math.pi) if x else 1.0


# How many pixels each filter reaches to either side, and the filter.
_FILTERS: Final[dict[Resize, tuple[float, Callable[[float], float]]]] = {
    Resize.PILLOW_BILINEAR: (1.0, _bilinear),
    Resize.PILLOW_BICUBIC: (2.0, _bicubic),
    Resize.PILLOW_LANCZOS: (3.0, _lanczos),
}
