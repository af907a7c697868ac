"""Writes a graph for several frames at once, from the graph for one.

Tokens of all frames stand in one matrix, (N*H*W, C), so linear layers and LayerNorm stay as they
are. What has a frame's size in it changes: shapes, and the axes of what has no axis for the frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["to_batch"]

_TOKENS: Final = 2  # (rows, C)
_ONE_FRAME: Final = 3  # (heads, L, d), or (H, W, C): no axis for the frame
_SIZED: Final = frozenset({"Reshape", "Expand", "Resize"})


def to_batch(model: ModelProto, frames: int) -> ModelProto:
    """Write a copy, float or typed, that takes uint8 (N, H, W, C) and gives (N, ...).

    It computes for each frame what the graph of one frame does.
    """
    from onnx import ModelProto, checker, numpy_helper, shape_inference

    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in model.graph.value_info}
    constants = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    changed: dict[str, npt.NDArray[np.int64]] = {}
    for node in graph.node:
        changed |= _change_sizes(node, constants, ranks, frames)
        _shift_axes(node, ranks)
    for weight in graph.initializer:
        if weight.name in changed:
            weight.CopyFrom(numpy_helper.from_array(changed[weight.name], weight.name))
    for end in (*graph.input, *graph.output):
        end.type.tensor_type.shape.dim[0].dim_value = frames
    del graph.value_info[:]
    made = shape_inference.infer_shapes(copy, check_type=True, strict_mode=True)
    checker.check_model(made, full_check=True)
    return made


def _change_sizes(
    node: NodeProto,
    constants: Mapping[str, npt.NDArray[np.generic]],
    ranks: Mapping[str, int],
    frames: int,
) -> dict[str, npt.NDArray[np.int64]]:
    """Find the sizes in a node's constants that change, by the constant's name."""
    if node.op_type in _SIZED:
        name = node.input[-1]
        return {name: _enlarge(constants[name].astype(np.int64), frames)}
    if node.op_type == "Slice" and ranks[node.input[0]] == _ONE_FRAME:
        name = node.input[3]
        return {name: constants[name].astype(np.int64) + 1}
    return {}


def _enlarge(shape: npt.NDArray[np.int64], frames: int) -> npt.NDArray[np.int64]:
    """Make the shape for several frames: a first axis for them, or that many more rows."""
    first, *others = shape.tolist()
    if len(shape) == _ONE_FRAME and first != 1:
        return np.array([frames, first, *others], np.int64)
    return np.array([first if first < 0 else frames * first, *others], np.int64)


def _shift_axes(node: NodeProto, ranks: Mapping[str, int]) -> None:
    """Give a node the axes that its input has with one more in front."""
    if node.op_type not in {"Transpose", "Concat"} or ranks.get(node.input[0]) != _ONE_FRAME:
        return
    for attribute in node.attribute:
        if attribute.name == "perm":
            attribute.ints[:] = [0, *(axis + 1 for axis in attribute.ints)]
        elif attribute.name == "axis":
            attribute.i += 1
