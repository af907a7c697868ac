"""The rules, each with a name, that a graph for TensorRT 10.3 to 11 must keep.

The rules come from NVIDIA's documents and from building such graphs with TensorRT-RTX
(docs/jetson.md). The table of operators is onnx-tensorrt's docs/operators.md of TensorRT 9.2 (opset
19). TensorRT 10.3 is newer, and reads all that the table lists, but Attention: that is a form of
its own (`quantize/targets/tensorrt/forms.py`), and the parser reads it from 10.14 on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import ExportError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["RULES", "check_rules", "find_violations"]

OPSETS: Final = (19, 20)
NEWEST_IR: Final = 10
# Of graphs with the operator Attention.
ATTENTION_OPSET: Final = 23
ATTENTION_IR: Final = 11

_FLOATS: Final = frozenset({"FLOAT", "FLOAT16"})
_MOVED: Final = _FLOATS | {"INT32", "INT64"}
# Types of an operator's first input. Integers of sizes and axes are inputs of their own.
OPERATORS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "Add": _MOVED,
        "ArgMax": _MOVED,
        "Attention": _FLOATS,
        "Cast": _MOVED | {"UINT8"},
        "Concat": _MOVED,
        "Conv": _FLOATS,
        "DequantizeLinear": frozenset({"INT8"}),
        "Div": _MOVED,
        "Erf": _FLOATS,
        "Expand": _MOVED,
        "Gemm": _FLOATS,
        "Identity": _MOVED,
        "LayerNormalization": _FLOATS,
        "MatMul": _FLOATS,
        "Mul": _MOVED,
        "Pad": _MOVED,
        "QuantizeLinear": _FLOATS,
        "ReduceMean": _MOVED,
        "Relu": _FLOATS,
        "Reshape": _MOVED,
        "Resize": _FLOATS,
        "Slice": _MOVED,
        "Softmax": _FLOATS,
        "Sub": _MOVED,
        "Transpose": _MOVED,
    }
)
_WEIGHTED: Final = {"Conv": 0, "Gemm": 1}
# GELU is Div, Erf, Add, Mul, Mul at opset 19.
_NEVER_QUANTIZED: Final = frozenset(
    {"Softmax", "LayerNormalization", "Div", "Erf", "Mul", "Resize"}
)


@dataclass(frozen=True)
class _Graph:
    """A model, with the facts that the rules ask for."""

    model: ModelProto

    @property
    def nodes(self) -> list[NodeProto]:
        return list(self.model.graph.node)

    @cached_property
    def makers(self) -> Mapping[str, NodeProto]:
        return {name: node for node in self.nodes for name in node.output}

    @cached_property
    def constants(self) -> Mapping[str, npt.NDArray[np.generic]]:
        from onnx import numpy_helper

        return {w.name: numpy_helper.to_array(w) for w in self.model.graph.initializer}

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """The type of every value by its name in ONNX, where it is known."""
        from onnx import TensorProto

        graph = self.model.graph
        typed = (*graph.value_info, *graph.input, *graph.output)
        kinds = {v.name: TensorProto.DataType.Name(v.type.tensor_type.elem_type) for v in typed}
        return kinds | {w.name: TensorProto.DataType.Name(w.data_type) for w in graph.initializer}

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """How many axes each value between nodes has, by its name."""
        return {v.name: len(v.type.tensor_type.shape.dim) for v in self.model.graph.value_info}

    def readers(self, name: str) -> list[NodeProto]:
        return [node for node in self.nodes if name in node.input]

    def maker(self, name: str) -> str:
        """Return the operator that makes a value; empty for inputs and constants."""
        node = self.makers.get(name)
        return "" if node is None else node.op_type

    def skip_casts(self, name: str) -> str:
        """Return the value that a chain of Casts starts with."""
        while self.maker(name) == "Cast":
            name = self.makers[name].input[0]
        return name


def _check_versions(graph: _Graph) -> Iterator[str]:
    opsets = {o.domain: o.version for o in graph.model.opset_import}
    newer = any(node.op_type == "Attention" for node in graph.nodes)
    known, newest = ((ATTENTION_OPSET,), ATTENTION_IR) if newer else (OPSETS, NEWEST_IR)
    if set(opsets) != {""} or opsets[""] not in known:
        yield f"opset {opsets}, not {known} of ONNX's own domain alone"
    if graph.model.ir_version > newest:
        yield f"IR version {graph.model.ir_version}, above {newest}"


def _check_valid(graph: _Graph) -> Iterator[str]:
    from onnx import checker, shape_inference

    try:
        shape_inference.infer_shapes(graph.model, check_type=True, strict_mode=True)
        checker.check_model(graph.model, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        yield str(error).strip().splitlines()[0]


def _check_static(graph: _Graph) -> Iterator[str]:
    ends = (*graph.model.graph.input, *graph.model.graph.output)
    for value in (*graph.model.graph.value_info, *ends):
        sizes = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if not all(sizes):
            yield f"{value.name} has no static shape: {sizes}"
    batches = {value.name: value.type.tensor_type.shape.dim[0].dim_value for value in ends}
    if len(set(batches.values())) != 1:
        yield f"the ends have different batches: {batches}"


def _check_operators(graph: _Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.op_type not in OPERATORS:
            yield f"{node.name} is a {node.op_type}, which the table does not have"
        elif graph.kinds.get(node.input[0], "?") not in OPERATORS[node.op_type]:
            yield f"{node.name}: {node.op_type} of {graph.kinds.get(node.input[0], '?')}"


def _check_uint8(graph: _Graph) -> Iterator[str]:
    for value in graph.model.graph.input:
        readers = graph.readers(value.name)
        if [node.op_type for node in readers] != ["Cast"]:
            yield f"input {value.name} feeds {[n.op_type for n in readers]}, not one Cast alone"
    ends = {v.name for v in (*graph.model.graph.input, *graph.model.graph.output)}
    for name, kind in graph.kinds.items():
        if kind == "UINT8" and name not in ends:
            yield f"{name} is uint8 inside the graph"


def _check_scales(graph: _Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.op_type not in {"QuantizeLinear", "DequantizeLinear"}:
            continue
        scale = graph.constants.get(node.input[1])
        if scale is None:
            yield f"{node.name}: the scale is no constant"
            continue
        values = scale.astype(np.float64)
        if not (np.isfinite(values).all() and (values > 0).all()):
            yield f"{node.name}: a scale is not above 0"
        around = node.input[0] if node.op_type == "QuantizeLinear" else node.output[0]
        own, beside = graph.kinds[node.input[1]], graph.kinds.get(around)
        if own != beside:
            yield f"{node.name}: a {own} scale beside {beside}"
        if any(attribute.name == "output_dtype" for attribute in node.attribute):
            yield f"{node.name} sets output_dtype"


def _check_zero_points(graph: _Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.op_type not in {"QuantizeLinear", "DequantizeLinear"}:
            continue
        zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is None or zero.dtype != np.int8 or zero.any():
            yield f"{node.name}: the zero point is not int8, present and 0"


def _check_weights(graph: _Graph) -> Iterator[str]:
    for node in graph.nodes:
        made = graph.makers.get(node.input[0]) if node.op_type in _WEIGHTED else None
        weight = graph.skip_casts(node.input[1]) if node.op_type in _WEIGHTED else ""
        quantized = graph.maker(weight) == "DequantizeLinear"
        if made is not None:
            data = graph.maker(graph.skip_casts(node.input[0])) == "DequantizeLinear"
            if data != quantized:
                yield f"{node.name}: of its data and its weight only one is int8"
        if not quantized:
            continue
        scaling = graph.makers[weight]
        levels = graph.constants.get(scaling.input[0])
        if levels is None or levels.dtype != np.int8:
            yield f"{node.name}: the weight behind DequantizeLinear is no int8 constant"
            continue
        axis = _WEIGHTED[node.op_type]
        named = {a.name: a.i for a in scaling.attribute}.get("axis", 1)
        scales = graph.constants[scaling.input[1]]
        if scales.shape != (levels.shape[axis],) or named != axis:
            yield f"{node.name}: weight scales are not one an output channel (axis {axis})"


def _check_activations(graph: _Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.op_type == "QuantizeLinear":
            scale = graph.constants.get(node.input[1])
            if scale is not None and scale.ndim:
                yield f"{node.name}: an activation has {scale.size} scales, not one"


def _check_stays_float(graph: _Graph) -> Iterator[str]:
    for node in graph.nodes:
        product = node.op_type in {"MatMul", "Attention"}
        if node.op_type not in _NEVER_QUANTIZED and not product:
            continue
        for name in node.input:
            if name and graph.maker(graph.skip_casts(name)) == "DequantizeLinear":
                what = "attention product" if product else node.op_type
                yield f"{node.name}: Q/DQ at the input of a {what}"


def _check_biases(graph: _Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.op_type in _WEIGHTED and len(node.input) > 2:
            bias = graph.constants.get(node.input[2])
            if bias is None or not np.issubdtype(bias.dtype, np.floating):
                yield f"{node.name}: the bias is no float constant"


def _check_layer_norms(graph: _Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.op_type == "LayerNormalization":
            kinds = {graph.kinds.get(name) for name in (*node.input, *node.output)}
            if kinds != {"FLOAT"}:
                yield f"{node.name} is not in FP32 throughout: {sorted(map(str, kinds))}"
        elif node.op_type in {"Sqrt", "Pow"} or _averages_channels(graph, node):
            yield f"{node.name} is a {node.op_type}: a LayerNorm is one node"


def _averages_channels(graph: _Graph, node: NodeProto) -> bool:
    """Tell a LayerNorm's mean, over the last axis, from a mean over neighboring tokens."""
    if node.op_type != "ReduceMean":
        return False
    axes = graph.constants.get(node.input[1]) if len(node.input) > 1 else None
    rank = graph.ranks.get(node.input[0])
    return axes is None or rank is None or bool(np.isin(axes, (-1, rank - 1)).any())


def _check_attention(graph: _Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.op_type == "Softmax" and graph.maker(graph.skip_casts(node.input[0])) != "MatMul":
            yield f"{node.name}: its input is no product; the attention scale belongs into q"
        elif node.op_type == "Attention":
            scale = {a.name: a.f for a in node.attribute}.get("scale")
            if scale != 1.0:
                yield f"{node.name} scales by {scale}, not by 1; the scale belongs into q"


RULES: Final[Mapping[str, Callable[[_Graph], Iterator[str]]]] = MappingProxyType(
    {
        "opset 19 or 20 and IR at most 10; 23 and 11 with Attention": _check_versions,
        "onnx's full check": _check_valid,
        "static shapes, one batch at both ends": _check_static,
        "operators and types of TensorRT's parser": _check_operators,
        "uint8 at the ends only, into one Cast": _check_uint8,
        "scales above 0, of the type around them": _check_scales,
        "int8 zero points, present and 0": _check_zero_points,
        "int8 weights, one scale an output channel": _check_weights,
        "activations have one scale": _check_activations,
        "softmax, LayerNorm, GELU and attention products stay float": _check_stays_float,
        "biases stay float": _check_biases,
        "LayerNormalization is one node in FP32": _check_layer_norms,
        "the attention scale is in q": _check_attention,
    }
)


def find_violations(model: ModelProto) -> dict[str, list[str]]:
    """Find what breaks each rule, by the rule's name; empty where all rules hold."""
    graph = _Graph(model)
    found = {name: list(rule(graph)) for name, rule in RULES.items()}
    return {name: broken for name, broken in found.items() if broken}


def check_rules(model: ModelProto, *, origin: str) -> None:
    """Refuse a graph that breaks a rule.

    Raises:
        ExportError: the graph breaks a rule; the message names the graph, the rules, and the first
            node of each.
    """
    broken = find_violations(model)
    if broken:
        told = "; ".join(
            f"{name}: {lines[0]} ({len(lines)} in all)" for name, lines in broken.items()
        )
        raise ExportError(
            f"{origin} is not for TensorRT: {told}; nothing was written; please report this"
        )
