"""Quantizes the products of attention weights and values, which NNCF leaves in float.

Weights become uint8 and values int8, each with one step size, as NNCF does it for queries and keys.
The CPU plugin then computes both products of attention in INT8, in one kernel with the softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from edgeseg.calibration.observe import observe, resume_observation
from edgeseg.calibration.ranges import mse
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.taps import find_taps, tap_graph
from edgeseg.segformer.arch import Role
from edgeseg.segformer.groups import find_group

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from openvino import Model, Output

    from edgeseg.pixels import Frame

__all__ = ["Peaks", "measure_values", "quantize_values"]

_LEVELS: Final = 256
# The operands of the product, in their order.
_WEIGHTS, _VALUES = 0, 1


@dataclass(frozen=True, slots=True)
class Peaks:
    """The largest magnitudes of a product's operands that are not cut off."""

    weights: float
    values: float


_ByProduct: TypeAlias = Mapping[str, Peaks]


def measure_values(
    model: ModelProto, recipe: Recipe, frames: Sequence[Callable[[], Frame]]
) -> _ByProduct:
    """Measure the operands of the products that a recipe quantizes, by the product's name.

    `model` is the float graph; `frames` give its input, uint8 (1, H, W, C). What is rounded and
    what is cut off have the least squared error together: most weights are small, and the largest
    of them would make the steps coarse.
    """
    products = [node for node in model.graph.node if _is_product(node, recipe)]
    operands = {name for node in products for name in node.input}
    taps = [tap for tap in find_taps(model) if tap.name in operands]
    if not taps:
        return {}
    tapped = tap_graph(model, taps)
    with TemporaryDirectory() as folder:
        begun = resume_observation(tapped, taps, Path(folder, "ranges.npz"))
        found = {name: mse(seen) for name, seen in observe(tapped, frames, begun).items()}
    peaks = {}
    for node in products:
        weights, values = (found[node.input[operand]] for operand in (_WEIGHTS, _VALUES))
        peaks[node.name] = Peaks(float(weights.high), float(max(-values.low, values.high)))
    return peaks


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


def _is_product(node: NodeProto, recipe: Recipe) -> bool:
    group = find_group(node.name)
    return group in recipe.int8 and group.role == Role.VALUES.value


def _quantize(source: Output, low: float, high: float) -> Output:
    from openvino import opset13

    ends = [opset13.constant(np.float32(end)) for end in (low, high, low, high)]
    return opset13.fake_quantize(source, *ends, _LEVELS).output(0)
