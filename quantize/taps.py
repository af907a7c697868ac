"""Graphs that compute statistics of their own activations: extremes, and a fair sample.

Whole tensors stay inside the engine: of the 357 MB of B0's activations at 512x512, 31 MB come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgeseg.calibration.observe import Tap
from edgeseg.calibration.ranges import SAMPLE, sample_positions
from edgeseg.quantize.qdq import quantizable_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["expected_bytes", "find_taps", "tap_extremes", "tap_graph"]

_ONE_AXIS: Final = "taps.one_axis"


def find_taps(model: ModelProto) -> tuple[Tap, ...]:
    """Every activation that some recipe quantizes."""
    weights = {weight.name for weight in model.graph.initializer}
    names = (n for node in quantizable_nodes(model) for n in (*node.input[:2], *node.output))
    return tuple(Tap(name) for name in dict.fromkeys(names) if name not in weights)


def tap_graph(model: ModelProto) -> bytes:
    """The same graph, serialized; its outputs are the extremes and the sample of every tap.

    The graph has static, inferred shapes.
    """
    sizes = _count_values(model)
    positions: dict[str, npt.NDArray[np.int32]] = {}
    nodes: dict[str, list[NodeProto]] = {}
    for tap in find_taps(model):
        size, where = sizes[tap.name], f"taps.positions.{sizes[tap.name]}"
        if size > SAMPLE:
            positions[where] = np.asarray(sample_positions(size), np.int32)
        nodes[tap.name] = [*_reduce(tap), _draw_sample(tap, where if size > SAMPLE else None)]
    return _with_outputs(model, nodes, positions)


def tap_extremes(model: ModelProto, names: Iterable[str]) -> bytes:
    """The same graph, serialized; its outputs are the extremes of the values of these names."""
    return _with_outputs(model, {name: _reduce(Tap(name)) for name in names}, {})


def expected_bytes(model: ModelProto) -> int:
    """About how much memory calibrating takes at most, beside the interpreter.

    The weights (held by the graph and by the engine), the samples, and twice the values that are
    alive at once: the engine's allocator keeps blocks that fit nothing else.
    """
    sizes = _count_values(model)
    last = {name: index for index, node in enumerate(model.graph.node) for name in node.input}
    alive = most = 0
    for index, node in enumerate(model.graph.node):
        alive += sum(sizes[name] for name in node.output)
        most = max(most, alive)
        over = {n for n in (*node.input, *node.output) if last.get(n, index) == index}
        alive -= sum(sizes.get(name, 0) for name in over)
    sampled = sum(min(sizes[tap.name], SAMPLE) for tap in find_taps(model))
    return 2 * int(model.ByteSize()) + 4 * (sampled + 2 * most)


def _count_values(model: ModelProto) -> dict[str, int]:
    """How many values each tensor between nodes has."""
    return {
        value.name: int(np.prod([d.dim_value for d in value.type.tensor_type.shape.dim]))
        for value in (*model.graph.value_info, *model.graph.output)
    }


def _reduce(tap: Tap) -> list[NodeProto]:
    """Nodes that lay a tensor flat and find its extremes; the last three write outputs."""
    from onnx import helper

    # All read the flat tensor: the engine keeps some images in a layout of its own, and would undo
    # that for each reader.
    flat = _flat(tap)
    found = zip(("ReduceMin", "ReduceMax", "ReduceSum"), tap.extremes, strict=True)
    return [
        helper.make_node("Reshape", [tap.name, _ONE_AXIS], [flat], name=flat),
        *(helper.make_node(op, [flat], [out], name=out, keepdims=0) for op, out in found),
    ]


def _draw_sample(tap: Tap, positions: str | None) -> NodeProto:
    from onnx import helper

    if positions is None:
        return helper.make_node("Identity", [_flat(tap)], [tap.sample], name=tap.sample)
    # Gather would do, too, but takes five times as long for single values.
    inputs = [_flat(tap), positions]
    return helper.make_node("GatherElements", inputs, [tap.sample], name=tap.sample, axis=0)


def _flat(tap: Tap) -> str:
    return f"{tap.name}.flat"


def _with_outputs(
    model: ModelProto,
    nodes: Mapping[str, Sequence[NodeProto]],
    constants: Mapping[str, npt.NDArray[np.int32]],
) -> bytes:
    """The graph with further nodes behind the values of some names, and their outputs alone.

    Each stands right behind the node that makes its value, so that no value is kept for it.
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
