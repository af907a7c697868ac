"""Quantizes pixels without a loss: they are whole numbers of 256 levels already.

The first convolution sees pixels less their mean, which a quantizer rounds to its steps. Less a
whole number, the same for all channels, in steps of 1, nothing is rounded. What that changes goes
into the convolution's bias. Only at the border of the frame, where zeros are added, is it another
function: there a gray stands in for the mean color.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from edgeseg.recovery.program import Program, Quantization, Step

__all__ = ["quantize_pixels_exactly"]

_CENTER: Final = "preprocess.center"
_FIRST: Final = "stage1.patch_embed"


def quantize_pixels_exactly(program: Program) -> Program | None:
    """Return the program with exact pixels; None where its pixels are not quantized in 256 levels.

    A bias is needed, too, to take what changes.
    """
    center = next((step for step in program.steps if step.name == _CENTER), None)
    if not isinstance(center, Step):
        return None
    quantizer = next(
        (
            step
            for step in program.steps
            if isinstance(step, Quantization) and step.source == center.output
        ),
        None,
    )
    bias = next(_find_bias(program), None)
    weight = next(_find_weight(program, quantizer), None) if quantizer is not None else None
    if quantizer is None or bias is None or weight is None or quantizer.lowest.size != 1:
        return None
    if quantizer.highest - quantizer.lowest != 255:
        return None
    constants = dict(program.constants)
    mean, kernel, shift = (constants[name] for name in (center.inputs[1], weight, bias))
    level = -float(quantizer.lowest.item())
    # Of (out, in, height, width), times how much more the new centered pixels are.
    gone = (kernel.value.sum((2, 3)) * (level - mean.value.reshape(1, -1))).sum(1)
    step = constants[quantizer.scale]
    changed = {
        center.inputs[1]: np.full_like(mean.value, level),
        quantizer.scale: np.ones_like(step.value),
        bias: shift.value + gone.reshape(shift.value.shape).astype(np.float32),
    }
    for name, value in changed.items():
        constants[name] = replace(constants[name], value=value)
    return replace(program, constants=constants)


def _find_weight(program: Program, quantizer: Quantization) -> Iterator[str]:
    """Find the constant that is the weight of the convolution which sees the pixels."""
    for step in program.steps:
        if isinstance(step, Step) and quantizer.output in step.inputs and len(step.inputs) > 1:
            yield _find_origin(program, step.inputs[1])


def _find_origin(program: Program, name: str) -> str:
    sources = {s.output: s.source for s in program.steps if isinstance(s, Quantization)}
    return sources.get(name, name)


def _find_bias(program: Program) -> Iterator[str]:
    """Find the constant that is added to the first convolution, in it or behind it."""
    steps = {step.output: step for step in program.steps if isinstance(step, Step)}
    for step in program.steps:
        if isinstance(step, Step) and step.name == _FIRST:
            name = step.inputs[-1]
            while name in steps:  # OpenVINO shapes the bias first
                name = steps[name].inputs[0]
            if name in program.constants:
                yield name
