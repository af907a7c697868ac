"""Counts how much of a graph's arithmetic has INT8 operands, in the file that ships."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.quantize.attention import ATTENTION

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from openvino import Model, Node, Output

__all__ = ["int8_share", "compute_onnx_share", "compute_openvino_share"]

# Nodes that pass their input's values on unchanged.
_HANDS_ON: Final = frozenset(
    {
        *("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "StridedSlice", "Cast"),
        *("Split", "VariadicSplit"),
    }
)


def int8_share(path: Path) -> float:
    """Compute the share of multiply-adds on two INT8 operands, 0..1, in an .onnx or .xml file."""
    if path.suffix == ".onnx":
        import onnx

        return compute_onnx_share(onnx.load(path))
    import openvino

    return compute_openvino_share(openvino.Core().read_model(path))


def compute_onnx_share(model: ModelProto) -> float:
    """Compute the share of a Q/DQ graph: operands from DequantizeLinear. Its shapes are static."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    makers = {name: node for node in graph.node for name in node.output}
    shapes |= {weight.name: list(weight.dims) for weight in graph.initializer}

    def is_int8(name: str) -> bool:
        node = makers.get(name)
        if node is None:
            return False
        if node.op_type in _HANDS_ON:
            return is_int8(node.input[0])
        return bool(node.op_type == "DequantizeLinear")

    counted = [
        (
            _count_macs(node, shapes),
            # MultiHeadAttention takes float operands only.
            node.op_type not in ATTENTION and is_int8(node.input[0]) and is_int8(node.input[1]),
        )
        for node in graph.node
        if node.op_type in {"Conv", "Gemm", "MatMul", *ATTENTION}
    ]
    return _divide(counted)


def _count_macs(node: NodeProto, shapes: Mapping[str, Sequence[int]]) -> int:
    """Count the multiply-adds of an ONNX node."""
    first, second = (shapes[name] for name in node.input[:2])
    if node.op_type in ATTENTION:  # queries and keys, (1, L, width)
        return 2 * math.prod(first) * math.prod(second[:-1])
    output = math.prod(shapes[node.output[0]])
    return output * (math.prod(second[1:]) if node.op_type == "Conv" else first[-1])


def compute_openvino_share(model: Model) -> float:
    """Compute the share of NNCF's form: FakeQuantize and 8-bit constants make INT8 operands."""

    def count_products() -> Iterator[tuple[int, bool]]:
        for op in model.get_ordered_ops():
            kind = op.get_type_name()
            if kind not in {"Convolution", "GroupConvolution", "MatMul"}:
                continue
            output = math.prod(op.output(0).get_shape())
            weights = list(op.input_value(1).get_shape())
            if kind == "MatMul":
                data = list(op.input_value(0).get_shape())
                macs = output * data[-2 if op.get_attributes()["transpose_a"] else -1]
            else:
                macs = output * math.prod(weights[2 if kind == "GroupConvolution" else 1 :])
            yield macs, all(_is_int8(op.input_value(i)) for i in (0, 1))

    return _divide(list(count_products()))


def _is_int8(value: Output) -> bool:
    node: Node = value.get_node()
    kind = node.get_type_name()
    if kind in _HANDS_ON:
        return _is_int8(node.input_value(0))
    if kind in {"Multiply", "Subtract"}:  # a constant's scale and zero point
        return _is_int8_constant(node.input_value(0))
    return bool(kind == "FakeQuantize")


def _is_int8_constant(value: Output) -> bool:
    node: Node = value.get_node()
    if node.get_type_name() in {"Convert", "Subtract"}:
        return _is_int8_constant(node.input_value(0))
    kind = node.get_element_type().get_type_name() if node.get_type_name() == "Constant" else ""
    return kind in {"i8", "u8"}


def _divide(counted: Sequence[tuple[int, bool]]) -> float:
    total = sum(macs for macs, _ in counted)
    return sum(macs for macs, is_int8 in counted if is_int8) / total if total else 0.0
