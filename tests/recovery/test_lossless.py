"""Pixels that are quantized without a loss."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from typed_graphs import frame

from edgeseg.recovery.lossless import quantize_pixels_exactly
from edgeseg.recovery.network import Network
from edgeseg.recovery.program import Program, Quantization
from edgeseg.recovery.recover import read_program

if TYPE_CHECKING:
    from artifacts import Artifact


def stop_after(program: Program, name: str) -> Program:
    """The program up to a step of this name, or that begins so."""
    steps = list(program.steps)
    end = next(i for i, step in enumerate(steps) if step.name == name)
    return replace(program, steps=tuple(steps[: end + 1]), result=steps[end].output)


def without_rounding_pixels(program: Program) -> Program:
    """The program whose pixels are hardly rounded, and not cut off."""
    center = next(step for step in program.steps if step.name == "preprocess.center")
    quantizers = (step for step in program.steps if isinstance(step, Quantization))
    first = next(step for step in quantizers if step.source == center.output)
    constants = dict(program.constants)
    scale = constants[first.scale]
    constants[first.scale] = replace(scale, value=scale.value / 1024)
    wide = replace(first, lowest=2048 * first.lowest, highest=2048 * first.highest)
    steps = tuple(wide if step is first else step for step in program.steps)
    return replace(program, constants=constants, steps=steps)


def run(program: Program, seed: int) -> np.ndarray:
    with torch.no_grad():
        return Network(program).forward(torch.from_numpy(frame(seed))).logits.numpy()


def test_inside_the_frame_the_first_convolution_is_exact(
    artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    for target in ("onnxruntime", "openvino"):
        program = read_program(artifacts[target].path)
        exact = quantize_pixels_exactly(program)
        assert exact is not None
        ideal = run(stop_after(without_rounding_pixels(program), "stage1.patch_embed"), 7)
        before = run(stop_after(program, "stage1.patch_embed"), 7) - ideal
        after = run(stop_after(exact, "stage1.patch_embed"), 7) - ideal
        inner = (..., slice(1, -1), slice(1, -1))
        assert np.abs(after[inner]).max() < 0.02 * np.abs(before[inner]).max()
        path = tmp_path / artifacts[target].path.name
        exact.write(Network(exact).export_values(), path)
        with closing(artifacts[target].open(path)) as engine:
            found = engine.infer(frame(7))
        own = run(exact, 7)
        assert (found.argmax(1) == own.argmax(1)).mean() > 0.99


def test_where_pixels_are_not_quantized_nothing_changes(artifacts: dict[str, Artifact]) -> None:
    assert quantize_pixels_exactly(read_program(artifacts["onnxruntime"].teacher)) is None
