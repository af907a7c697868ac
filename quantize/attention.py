"""Writes attention as one operator, which an engine computes block by block.

Such an operator never holds all scores at once. They are what a large input spends memory on: 1 GB
in stage 1 at 1024x2048. It takes float operands, so attention whose products are INT8 stays as it
is. ONNX Runtime reads the first of the two operators, TensorRT the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.segformer.arch import Role

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

__all__ = ["ATTENTION", "CONTRIB", "STANDARD", "Operator", "fuse_attention"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator of three inputs (1, L, width): queries, keys and values.

    `heads` are the attributes that give the number of heads. `opset` is the first of its domain
    that has it, and `ir` the version of ONNX's file format from then on.
    """

    name: str
    domain: str
    opset: int
    heads: tuple[str, ...]
    ir: int = 0


CONTRIB: Final = Operator(
    name="MultiHeadAttention", domain="com.microsoft", opset=1, heads=("num_heads",)
)
STANDARD: Final = Operator(
    name="Attention", domain="", opset=23, heads=("q_num_heads", "kv_num_heads"), ir=11
)
ATTENTION: Final = frozenset({CONTRIB.name, STANDARD.name})
_BLOCK: Final = re.compile(rf"(?P<block>.+)\.{Role.SCORES.value}")
# The nodes of one attention, by the names that `edgeseg.export` gives them.
_REPLACED: Final = (
    *("q_heads.split", "q_heads", "k_heads.split", "k_heads", "v_heads.split", "v_heads"),
    *(Role.SCORES.value, "softmax", Role.VALUES.value, "merge_heads", "merged"),
)


def fuse_attention(model: ModelProto, operator: Operator = CONTRIB) -> ModelProto:
    """Write a copy in which each attention on float operands is one node.

    The scale 1/sqrt(d) is in the query's weights already, so the operator's is 1.
    """
    from onnx import ModelProto, helper

    nodes = {node.name: node for node in model.graph.node}
    weights = {weight.name: weight for weight in model.graph.initializer}
    blocks = [block for block in _list_blocks(nodes) if _is_float(nodes, block)]
    replaced = {f"{block}.{part}" for block in blocks for part in _REPLACED}
    made: list[NodeProto] = []
    shapes: list[TensorProto] = []
    for node in model.graph.node:
        block = node.name.removesuffix(".merged")
        if node.name not in replaced:
            made.append(node)
        elif node.name != block:
            added, shape = _write_attention(operator, block, nodes, weights)
            made += added
            shapes.append(shape)
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:], copy.graph.value_info[:], copy.graph.initializer[:]
    copy.graph.node.extend(made)
    # ONNX's inference of shapes does not know the operator, so what follows it keeps its record.
    written = {name for node in made for name in node.output}
    copy.graph.value_info.extend(v for v in model.graph.value_info if v.name in written)
    read = {name for node in made for name in node.input}
    kept = (weight for weight in model.graph.initializer if weight.name in read)
    copy.graph.initializer.extend([*kept, *shapes])
    if blocks:
        others = [one for one in copy.opset_import if one.domain != operator.domain]
        del copy.opset_import[:]
        copy.opset_import.extend([*others, helper.make_opsetid(operator.domain, operator.opset)])
        copy.ir_version = max(copy.ir_version, operator.ir)
    return copy


def _list_blocks(nodes: Mapping[str, NodeProto]) -> Iterator[str]:
    return (match["block"] for name in nodes if (match := _BLOCK.fullmatch(name)))


def _is_float(nodes: Mapping[str, NodeProto], block: str) -> bool:
    """Tell whether no Q/DQ stands between the nodes of an attention."""
    scores, values = nodes[f"{block}.{Role.SCORES.value}"], nodes[f"{block}.{Role.VALUES.value}"]
    operands = [*scores.input, *values.input]
    return operands == [f"{block}.{part}" for part in ("q_heads", "k_heads", "softmax", "v_heads")]


def _write_attention(
    operator: Operator,
    block: str,
    nodes: Mapping[str, NodeProto],
    weights: Mapping[str, TensorProto],
) -> tuple[list[NodeProto], TensorProto]:
    """Write the nodes that replace one attention, and the shape that they need."""
    from onnx import helper, numpy_helper

    split = nodes[f"{block}.q_heads.split"].input[1]
    _, heads, depth = numpy_helper.to_array(weights[split]).tolist()
    shape = numpy_helper.from_array(
        np.array([1, -1, heads * depth], np.int64), f"{block}.attention.shape"
    )
    inputs = {part: nodes[f"{block}.{part}_heads.split"].input[0] for part in "qkv"}
    batches = [
        helper.make_node("Reshape", [source, shape.name], [name], name=name)
        for part, source in inputs.items()
        for name in [f"{block}.attention.{part}"]
    ]
    attention = helper.make_node(
        operator.name,
        [node.output[0] for node in batches],
        [f"{block}.attention"],
        name=f"{block}.attention",
        domain=operator.domain,
        scale=1.0,
        **dict.fromkeys(operator.heads, heads),
    )
    merged = nodes[f"{block}.merged"]
    back = helper.make_node(
        "Reshape", [attention.output[0], merged.input[1]], list(merged.output), name=merged.name
    )
    return [*batches, attention, back], shape
