"""Quantizes the products of attention weights and values, which NNCF leaves in float.

Weights become uint8 and values int8, each with one step size, as NNCF does it for queries and keys.
The CPU plugin then computes both products of attention in INT8, in one kernel with the softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from edgeseg.quantize.recipes import Recipe
from edgeseg.segformer.arch import Role
from edgeseg.segformer.groups import find_group

if TYPE_CHECKING:
    from openvino import Model, Node, Output

    from edgeseg.pixels import Frame

__all__ = ["Peaks", "measure_values", "quantize_values"]

_LEVELS: Final = 256
# The operands of the product, in their order.
_WEIGHTS, _VALUES = 0, 1


@dataclass(frozen=True, slots=True)
class Peaks:
    """The largest magnitudes of a product's operands, over all images."""

    weights: float
    values: float


_ByProduct: TypeAlias = Mapping[str, Peaks]


def measure_values(
    floats: Model, recipe: Recipe, frames: Sequence[Callable[[], Frame]]
) -> _ByProduct:
    """Measure the operands of the products that a recipe quantizes, by the product's name.

    `floats` is the float graph; `frames` give its input, uint8 (1, H, W, C).
    """
    import openvino
    from openvino import opset13

    watched = floats.clone()
    products = _list_products(watched, recipe)
    if not products:
        return {}
    axes = np.arange(len(products[0].get_input_shape(_WEIGHTS)))
    # Weights are never negative, and too many to be copied.
    shown = [
        source
        for node in products
        for source in (node.input_value(_WEIGHTS), opset13.abs(node.input_value(_VALUES)).output(0))
    ]
    watched.add_outputs([opset13.reduce_max(source, axes).output(0) for source in shown])
    # In other types than float32 the plugin could round what is measured.
    running = openvino.compile_model(watched, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = np.max([_read_last(running(frame()), 2 * len(products)) for frame in frames], axis=0)
    return {
        node.get_friendly_name(): Peaks(*pair.tolist())
        for node, pair in zip(products, found.reshape(-1, 2), strict=True)
    }


def quantize_values(model: Model, peaks: _ByProduct) -> Model:
    """Return a model in which the operands of these products are quantized."""
    changed = model.clone()
    for node in changed.get_ordered_ops():
        found = peaks.get(node.get_friendly_name())
        if found is not None and node.get_type_name() == "MatMul":
            unsigned = _quantize(node.input_value(_WEIGHTS), 0.0, found.weights)
            # The step is that of 127 levels, and -128 is one more, as in NNCF.
            signed = _quantize(node.input_value(_VALUES), -found.values * 128 / 127, found.values)
            node.input(_WEIGHTS).replace_source_output(unsigned)
            node.input(_VALUES).replace_source_output(signed)
    changed.validate_nodes_and_infer_types()
    return changed


def _list_products(model: Model, recipe: Recipe) -> list[Node]:
    return [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() == "MatMul"
        and (group := find_group(node.get_friendly_name())) in recipe.int8
        and group.role == Role.VALUES.value
    ]


def _quantize(source: Output, low: float, high: float) -> Output:
    from openvino import opset13

    ends = [opset13.constant(np.float32(end)) for end in (low, high, low, high)]
    return opset13.fake_quantize(source, *ends, _LEVELS).output(0)


def _read_last(outputs: Mapping[object, np.ndarray], count: int) -> np.ndarray:
    return np.array([float(value) for value in list(outputs.values())[-count:]])
