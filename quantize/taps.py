"""Makes graphs that compute statistics of their own activations: extremes and a fair sample.

Whole tensors stay inside the engine: of the 357 MB of B0's activations at 512x512, 31 MB come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgeseg.calibration.observe import Tap
from edgeseg.calibration.ranges import BINS, SAMPLE, choose_sample_positions
from edgeseg.quantize.qdq import list_quantizable

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["estimate_bytes", "find_floats", "find_taps", "tap_graph"]

_ONE_AXIS: Final = "taps.one_axis"
_REARRANGES: Final = frozenset({"Reshape", "Transpose"})


def find_taps(model: ModelProto) -> tuple[Tap, ...]:
    """List a tap for every activation that some recipe quantizes."""
    weights = {weight.name for weight in model.graph.initializer}
    names = (n for node in list_quantizable(model) for n in (*node.input[:2], *node.output))
    origins = _find_origins(model)
    return tuple(
        Tap(name=name, origin=origins[name], sampled=True)
        for name in dict.fromkeys(names)
        if name not in weights
    )


def find_floats(model: ModelProto) -> tuple[Tap, ...]:
    """List a tap for every float32 value; those that some recipe quantizes are sampled."""
    from onnx import TensorProto

    origins = _find_origins(model)
    sampled = {tap.name for tap in find_taps(model)}
    return tuple(
        Tap(name=value.name, origin=origins[value.name], sampled=value.name in sampled)
        for value in (*model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    )


def tap_graph(model: ModelProto, taps: Sequence[Tap]) -> bytes:
    """Serialize the graph with the outputs that the taps name, and no others.

    The graph has static, inferred shapes.
    """
    sizes = _count_values(model)
    sampled = [tap for tap in taps if tap.sampled]
    drawn = {sizes[tap.name] for tap in sampled if sizes[tap.name] > SAMPLE}
    positions = {
        _name_positions(s): np.asarray(choose_sample_positions(s), np.int32) for s in drawn
    }
    nodes = _reduce_origins(taps)
    for tap in sampled:
        nodes.setdefault(tap.name, [_flatten(tap.name)]).append(_draw_sample(tap, sizes[tap.name]))
    return _replace_outputs(model, nodes, positions)


def estimate_bytes(model: ModelProto, taps: Sequence[Tap]) -> int:
    """Estimate how much memory calibration takes at most, beside the interpreter.

    The sum counts the weights (held by the graph and by the engine), the samples, the histograms
    (once more while they are saved), and three times the values that are alive at once: the
    engine's allocator keeps blocks that fit nothing else.
    """
    sizes = _count_values(model)
    last = {name: index for index, node in enumerate(model.graph.node) for name in node.input}
    alive = most = 0
    for index, node in enumerate(model.graph.node):
        alive += sum(sizes[name] for name in node.output)
        most = max(most, alive)
        over = {n for n in (*node.input, *node.output) if last.get(n, index) == index}
        alive -= sum(sizes.get(name, 0) for name in over)
    samples = sum(min(sizes[tap.name], SAMPLE) for tap in taps if tap.sampled)
    histograms = 2 * len(taps) * BINS
    return 2 * int(model.ByteSize()) + 4 * (samples + 3 * most) + 8 * histograms


def _count_values(model: ModelProto) -> dict[str, int]:
    """Count the values of each tensor between nodes, by its name."""
    return {
        value.name: int(np.prod([d.dim_value for d in value.type.tensor_type.shape.dim]))
        for value in (*model.graph.value_info, *model.graph.output)
    }


def _find_origins(model: ModelProto) -> dict[str, str]:
    """Find, for each value, the one that it holds in another shape or order; mostly itself."""
    origins: dict[str, str] = {}
    for node in model.graph.node:
        for output in node.output:
            origins[output] = output
            if node.op_type in _REARRANGES:
                origins[output] = origins.get(node.input[0], output)
    return origins


def _reduce_origins(taps: Iterable[Tap]) -> dict[str, list[NodeProto]]:
    """Make the nodes that flatten a value and find its extremes, by the value's name."""
    from onnx import helper

    reduced: dict[str, list[NodeProto]] = {}
    for tap in taps:
        if tap.origin not in reduced:
            found = zip(("ReduceMin", "ReduceMax", "ReduceSum"), tap.extremes, strict=True)
            reduced[tap.origin] = [
                _flatten(tap.origin),
                *(
                    helper.make_node(op, [_name_flat(tap.origin)], [out], name=out, keepdims=0)
                    for op, out in found
                ),
            ]
    return reduced


def _flatten(name: str) -> NodeProto:
    """Make the node that flattens a value; all statistics read the flat tensor.

    ONNX Runtime keeps some images in a layout of its own, and would undo that for each reader.
    """
    from onnx import helper

    return helper.make_node("Reshape", [name, _ONE_AXIS], [_name_flat(name)], name=_name_flat(name))


def _draw_sample(tap: Tap, size: int) -> NodeProto:
    from onnx import helper

    flat = _name_flat(tap.name)
    if size <= SAMPLE:
        return helper.make_node("Identity", [flat], [tap.sample], name=tap.sample)
    # Gather would also work, but takes five times as long for single values.
    inputs = [flat, _name_positions(size)]
    return helper.make_node("GatherElements", inputs, [tap.sample], name=tap.sample, axis=0)


def _name_flat(name: str) -> str:
    return f"{name}.flat"


def _name_positions(size: int) -> str:
    return f"taps.positions.{size}"


def _replace_outputs(
    model: ModelProto,
    nodes: Mapping[str, Sequence[NodeProto]],
    constants: Mapping[str, npt.NDArray[np.int32]],
) -> bytes:
    """Add nodes behind the values of some names, and keep only their outputs.

    Each node stands right behind the one that makes its value, so that no value is kept for it.
    """
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.node[:], graph.output[:]
    for node in model.graph.node:
        graph.node.append(node)
        for name in node.output:
            graph.node.extend(nodes.get(name, ()))
    written = (node.output[0] for added in nodes.values() for node in added[1:])
    graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in written)
    graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), _ONE_AXIS))
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    serialized: bytes = copy.SerializeToString()
    return serialized
