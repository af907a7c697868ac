"""Chooses the step sizes of the activations' quantizers anew, for images in any light.

Ranges that were found on images in good light cut off what others give: in low contrast attention
gathers on few keys, and its sums grow to twice their range. Each quantizer gets the step size that
loses least of what passes it, in the mean over images as they are and in other light. What an image
loses counts by its own variance, so that a faded image counts as any other.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from edgeseg.calibration.light import change_light
from edgeseg.pixels import Frame
from edgeseg.progress import Progress, track
from edgeseg.recovery.example import Read
from edgeseg.recovery.memory import check_memory, explain_full_gpu
from edgeseg.recovery.network import Network, Trace
from edgeseg.recovery.program import Kind, Program, Quantization

__all__ = ["apply_factors", "fit_factors", "hold_pixels", "light_frames"]

_PREPROCESS: Final = "preprocess."
# Multiples of a step size that are tried. Of equal ones the first is taken, which changes nothing.
_FACTORS: Final = (1.0, 0.9, 1.15, 0.8, 1.3, 0.7, 1.5, 0.6, 1.75, 0.5, 2.0, 2.5, 3.0, 4.0)
# Of a value of one image, so many numbers are looked at.
_SAMPLE: Final = 1 << 16
# A frame with less than this share of the middle frame's variance is blank, and decides nothing.
_BLANK: Final = 1e-3
# Images are lit by other random numbers than those of a training.
_LIT: Final = 3


def hold_pixels(program: Program) -> Program:
    """Hold the step of the pixels' quantizer where it is 1: it rounds nothing."""
    pixels = {step.output for step in program.steps if step.name.startswith(_PREPROCESS)}
    constants = dict(program.constants)
    for step in program.steps:
        if isinstance(step, Quantization) and step.source in pixels:
            scale = constants[step.scale]
            if np.all(scale.value == 1):
                constants[step.scale] = replace(scale, kind=Kind.FIXED)
    return replace(program, constants=constants)


def light_frames(images: Sequence[Read], seed: int) -> list[Frame]:
    """List the frames of images, uint8 (1, H, W, C): each as it is, and then in other light."""
    frames = []
    for place, read in enumerate(images):
        frame = read().frame
        lit = change_light(frame[0], np.random.default_rng((seed, _LIT, place)))
        frames += [frame, lit[None]]
    return frames


def fit_factors(
    program: Program, frames: Sequence[Frame], *, seconds: float, seed: int, progress: Progress
) -> dict[str, float]:
    """Find by what to multiply the step size of each activation's quantizer, by its constant.

    `frames` are uint8 (1, H, W, C). The loss is the squared error of rounding and of cutting off,
    by the variance of what is rounded, in the mean over the frames. A quantizer with a step size
    for each channel has one factor for all. Fixed ones are left out. After `seconds` the frames
    that were seen are enough, two at least.

    Raises:
        ExportError: the machine, or its GPU, has too little memory.
    """
    begun = time.monotonic()
    fitter = _Fitter(program, seed)
    with explain_full_gpu():
        for place, frame in enumerate(track(progress, "choosing step sizes", frames)):
            if place >= 2 and time.monotonic() - begun > seconds:
                break
            check_memory(fitter.look_at(frame))
    return fitter.choose()


def apply_factors(program: Program, factors: Mapping[str, float]) -> Program:
    """Return the program with step sizes that are multiplied by these factors, by name."""
    constants = dict(program.constants)
    for name, factor in factors.items():
        scale, by = constants[name], np.float32(factor)
        constants[name] = replace(scale, value=scale.value * by, unit=scale.unit * by)
    return replace(program, constants=constants)


class _Fitter:
    """Runs a program without rounding activations, and measures what its quantizers would lose."""

    def __init__(self, program: Program, seed: int) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = Network(program).to(self._device)
        self._generator = torch.Generator().manual_seed(seed)
        self._names = {
            step.output
            for step in program.steps
            if isinstance(step, Quantization)
            and step.source not in program.constants
            and program.constants[step.scale].kind is Kind.SCALE
        }
        self._errors: dict[str, list[list[float]]] = defaultdict(list)
        self._variances: dict[str, list[float]] = defaultdict(list)

    @torch.no_grad()
    def look_at(self, frame: Frame) -> int:
        """Measure all quantizers on a frame, and count the numbers of all values on the way."""
        image = torch.tensor(frame, device=self._device)
        trace: Trace = self._network(image, instead=self._measure)
        return trace.elements

    def choose(self) -> dict[str, float]:
        """Choose the factor of each step size, by the name of its constant."""
        chosen = {}
        for name, errors in self._errors.items():
            variances = np.array(self._variances[name])
            shown = variances > _BLANK * np.median(variances)
            lost = (np.array(errors)[shown] / variances[shown, None]).sum(axis=0)
            chosen[name] = _FACTORS[int(lost.argmin())]
        return chosen

    def _measure(self, x: Tensor, step: Tensor, way: Quantization) -> Tensor | None:
        """Measure a quantizer at all factors, and let what it sees pass; None for others."""
        if way.output not in self._names:
            return None
        seen = self._draw(x) if step.numel() == 1 and way.lowest.size == 1 else x
        low, high = (torch.from_numpy(end).to(x.device) for end in (way.lowest, way.highest))
        errors = []
        for factor in _FACTORS:
            scale = step * factor
            rounded = (seen / scale).round_().clamp_(low, high).mul_(scale)
            errors.append((rounded - seen).square().mean().item())
        self._errors[way.scale].append(errors)
        self._variances[way.scale].append(x.var().item())
        return x

    def _draw(self, x: Tensor) -> Tensor:
        if x.numel() <= _SAMPLE:
            return x
        places = torch.randint(x.numel(), (_SAMPLE,), generator=self._generator)
        return x.flatten()[places.to(x.device)]
