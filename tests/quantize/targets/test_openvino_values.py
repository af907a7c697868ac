"""The product of attention weights and values in OpenVINO's graphs: rounded as NumPy spells it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import openvino
import pytest
from typed_graphs import frame

from edgeseg.quantize.recipes import RECIPES, Recipe
from edgeseg.quantize.targets.openvino_values import measure_values, quantize_values
from edgeseg.segformer.groups import Group

if TYPE_CHECKING:
    from onnx import ModelProto

FRAMES = [partial(frame, seed) for seed in range(3)]
FIRST = "stage1.block0.values"
BLOCKS = [f"stage{stage}.block{block}.values" for stage in range(1, 5) for block in range(2)]


@pytest.fixture(scope="module")
def floats(model: ModelProto) -> openvino.Model:
    return openvino.Core().read_model(model.SerializeToString())


def find_product(model: openvino.Model, name: str) -> openvino.Node:
    return next(op for op in model.get_ordered_ops() if op.get_friendly_name() == name)


def run(model: openvino.Model, *shown: openvino.Output) -> list[list[np.ndarray]]:
    """What the engine computes of each frame at these places, which stand in the model."""
    count = len(model.outputs)
    model.add_outputs(list(shown))
    running = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [list(running(read()).values())[count:] for read in FRAMES]


def round_off(exact: np.ndarray, step: float, low: int, high: int) -> np.ndarray:
    rounded: np.ndarray = np.clip(np.rint(exact / step), low, high) * step
    return rounded


def test_peaks_lose_less_than_the_largest_of_all_frames(
    model: ModelProto, floats: openvino.Model
) -> None:
    peaks = measure_values(model, RECIPES["int8-full"], FRAMES)
    assert sorted(peaks) == sorted(BLOCKS)
    for name in BLOCKS:
        watched = floats.clone()
        product = find_product(watched, name)
        seen = run(watched, product.input_value(0), product.input_value(1))
        for operand, peak, levels, low in (
            (0, peaks[name].weights, 255, 0),
            (1, peaks[name].values, 127, -128),
        ):
            exact = np.concatenate([one[operand].ravel() for one in seen])
            largest = float(np.abs(exact).max())
            assert 0 < peak <= 1.001 * largest
            errors = [
                float(np.square(round_off(exact, top / levels, low, levels) - exact).mean())
                for top in (peak, largest)
            ]
            assert errors[0] <= 1.05 * errors[1]


def test_operands_are_rounded_to_256_levels(model: ModelProto, floats: openvino.Model) -> None:
    peaks = measure_values(model, RECIPES["int8-full"], FRAMES)
    made = quantize_values(floats, peaks)
    quantizers = [find_product(made, FIRST).input_value(operand).get_node() for operand in (0, 1)]
    assert [node.get_type_name() for node in quantizers] == ["FakeQuantize", "FakeQuantize"]
    weights, values = (run_around(made.clone(), place) for place in range(2))
    for pairs, step, low, high in (
        (weights, peaks[FIRST].weights / 255, 0, 255),
        (values, peaks[FIRST].values / 127, -128, 127),
    ):
        for exact, rounded in pairs:
            # Where a value lies between two levels, either is right.
            clear = np.abs(exact / step - np.floor(exact / step) - 0.5) > 1e-3
            wanted = round_off(exact, step, low, high)
            np.testing.assert_allclose(rounded[clear], wanted[clear], atol=1e-3 * step)
            assert len(np.unique(wanted)) > 30


def run_around(model: openvino.Model, operand: int) -> list[list[np.ndarray]]:
    """What the quantizer of an operand of the first product sees and gives."""
    quantizer = find_product(model, FIRST).input_value(operand).get_node()
    return run(model, quantizer.input_value(0), quantizer.output(0))


def test_a_recipe_names_the_products(model: ModelProto, floats: openvino.Model) -> None:
    assert measure_values(model, RECIPES["int8-no-softmax"], FRAMES) == {}
    second = Recipe(name="second", int8=frozenset({Group("stage2", "values")}))
    peaks = measure_values(model, second, FRAMES)
    assert sorted(peaks) == ["stage2.block0.values", "stage2.block1.values"]
    made = quantize_values(floats, peaks)
    quantized = {name for name in BLOCKS if is_quantized(made, name)}
    assert quantized == set(peaks)
    assert not any(is_quantized(floats, name) for name in BLOCKS)


def is_quantized(model: openvino.Model, name: str) -> bool:
    operand = find_product(model, name).input_value(0).get_node()
    return bool(operand.get_type_name() == "FakeQuantize")
