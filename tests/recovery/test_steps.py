"""The quantizers' steps, chosen anew for images in any light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from artifacts import list_frames
from typed_graphs import frame

from edgeseg.progress import SILENT
from edgeseg.recovery.network import Network
from edgeseg.recovery.program import Constant, Kind, Program, Quantization, Step
from edgeseg.recovery.recover import read_program
from edgeseg.recovery.steps import apply_factors, fit_factors, hold_pixels, light_frames

if TYPE_CHECKING:
    from artifacts import Artifact

SEEN = light_frames(list_frames(range(2)), seed=1)


def list_activations(program: Program) -> list[Quantization]:
    return [
        step
        for step in program.steps
        if isinstance(step, Quantization) and step.source not in program.constants
    ]


def scale(program: Program, factor: float) -> Program:
    """The program whose activations are rounded to other steps, but for pixels."""
    names = {step.scale for step in list_activations(program)}
    return replace(
        program,
        constants={
            name: replace(constant, value=constant.value * np.float32(factor))
            if name in names and constant.kind is Kind.SCALE
            else constant
            for name, constant in program.constants.items()
        },
    )


def fit(program: Program, frames: Sequence[np.ndarray] = SEEN, seed: int = 0) -> Program:
    found = fit_factors(program, frames, seconds=999, seed=seed, progress=SILENT)
    return apply_factors(program, found)


@cache
def list_masks(teacher: Path) -> list[np.ndarray]:
    return [classify(read_program(teacher), frame(seed)) for seed in range(50, 53)]


def classify(program: Program, image: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return Network(program)(torch.from_numpy(image)).logits[0].argmax(0).numpy()


def agree(program: Program, artifact: Artifact) -> float:
    expected = list_masks(artifact.teacher)
    found = [classify(program, frame(seed)) for seed in range(50, 53)]
    return 100 * float(np.mean([(a == b).mean() for a, b in zip(found, expected, strict=True)]))


@pytest.mark.parametrize("factor", [pytest.param(0.4, marks=pytest.mark.long), 4.0])
def test_steps_that_are_far_off_are_mended(artifact: Artifact, factor: float) -> None:
    program = hold_pixels(read_program(artifact.path))
    harmed = scale(program, factor)
    mended = fit(harmed)
    lost, lost_still = (100 - agree(one, artifact) for one in (harmed, mended))
    assert lost_still < 0.75 * lost
    assert agree(mended, artifact) > agree(program, artifact) - 1


def test_equal_seeds_choose_equal_steps_and_weights_keep_theirs(
    artifacts: dict[str, Artifact],
) -> None:
    program = read_program(artifacts["openvino"].path)
    first, again = fit(program, seed=3), fit(program, seed=3)
    activations = {step.scale for step in list_activations(program)}
    for name, constant in first.constants.items():
        np.testing.assert_array_equal(constant.value, again.constants[name].value)
        if name not in activations:
            np.testing.assert_array_equal(constant.value, program.constants[name].value)


def test_exact_pixels_are_held_and_no_others(artifact: Artifact) -> None:
    program = hold_pixels(read_program(artifact.path))
    pixels = {step.output for step in program.steps if step.name.startswith("preprocess.")}
    (quantizer,) = (s for s in list_activations(program) if s.source in pixels)
    held = {n for n, c in program.constants.items() if c.kind is Kind.FIXED}
    assert quantizer.scale in held
    others = {s.scale for s in list_activations(program)} - {quantizer.scale}
    assert not others & held
    rounded = scale_one(read_program(artifact.path), quantizer.scale, 1.07)
    assert hold_pixels(rounded).constants[quantizer.scale].kind is Kind.SCALE


def scale_one(program: Program, name: str, factor: float) -> Program:
    constants = dict(program.constants)
    value = constants[name].value * np.float32(factor)
    constants[name] = replace(constants[name], value=value)
    return replace(program, constants=constants)


def round_once(values: float) -> Program:
    """A program of one quantizer, with steps of 1 from -127 to 127, behind a product."""
    make = {"by": np.float32(values), "step": np.float32(1.0)}
    return Program(
        source="image",
        result="out",
        steps=(
            Step(name="times", inputs=("image", "by"), output="x", compute=lambda a, b: a * b),
            Quantization(
                name="q",
                source="x",
                scale="step",
                lowest=np.array(-127, np.float32),
                highest=np.array(127, np.float32),
                output="out",
            ),
        ),
        constants={
            "by": Constant(value=np.array(make["by"]), kind=Kind.FIXED, unit=np.zeros(())),
            "step": Constant(value=np.array(make["step"]), kind=Kind.SCALE, unit=np.ones(())),
        },
        write=lambda *_: None,
    )


def draw(highest: int) -> np.ndarray:
    return np.random.default_rng(highest).integers(0, highest + 1, (1, 16, 16, 3), np.uint8)


def find_factor(values: float, *frames: np.ndarray) -> float:
    program = round_once(values)
    return fit_factors(program, frames, seconds=999, seed=0, progress=SILENT)["step"]


def test_a_step_covers_what_other_light_makes_large() -> None:
    good, other = draw(120), draw(240)
    assert find_factor(1.0, good) == 1
    assert find_factor(1.0, good, other) > 1.7


def test_a_faded_image_counts_as_any_other() -> None:
    """By squared errors alone the bright image would decide: it would get the coarse step."""
    dim, bright = draw(12), draw(255)
    assert find_factor(0.1, dim) == 0.5
    assert find_factor(0.9, bright) > 1.7
    shares = [find_factor(0.9, *([dim] * many), bright) for many in (1, 30)]
    assert shares[1] < shares[0]


def test_a_blank_image_decides_nothing() -> None:
    blank = np.full((1, 16, 16, 3), 3, np.uint8)
    seen = [draw(seed) for seed in (200, 210, 220)]
    assert find_factor(0.9, *seen, blank) == find_factor(0.9, *seen)


def test_what_is_always_zero_keeps_its_step() -> None:
    assert find_factor(0.0, draw(255)) == 1


def test_a_fit_ends_with_its_time_but_sees_two_frames(artifacts: dict[str, Artifact]) -> None:
    program = hold_pixels(read_program(artifacts["onnxruntime"].path))
    short = fit_factors(program, SEEN, seconds=0, seed=0, progress=SILENT)
    assert short == fit_factors(program, SEEN[:2], seconds=999, seed=0, progress=SILENT)


def test_frames_are_shown_as_they_are_and_in_other_light() -> None:
    shown = light_frames(list_frames(range(3)), seed=0)
    assert len(shown) == 6
    for seed in range(3):
        np.testing.assert_array_equal(shown[2 * seed], frame(seed))
        assert not np.array_equal(shown[2 * seed + 1], frame(seed))
    again = light_frames(list_frames(range(3)), seed=0)
    np.testing.assert_array_equal(np.stack(shown), np.stack(again))
