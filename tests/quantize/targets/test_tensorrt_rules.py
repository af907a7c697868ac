"""Every rule of a typed graph is broken on purpose, and named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from typed_graphs import node, weight

from edgeseg.errors import ExportError
from edgeseg.quantize.targets.tensorrt.rules import RULES, check_rules, find_violations


def _replace(model: ModelProto, name: str, values: np.ndarray) -> None:
    weight(model, name).CopyFrom(numpy_helper.from_array(values, name))


def _newer_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 21


def _newer_ir(model: ModelProto) -> None:
    model.ir_version = 11


def _unsorted(model: ModelProto) -> None:
    first = model.graph.node[0]
    moved = onnx.NodeProto()
    moved.CopyFrom(first)
    del model.graph.node[0]
    model.graph.node.append(moved)


def _batch_of_two(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 2


def _dynamic(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"


def _other_operator(model: ModelProto) -> None:
    node(model, "head.relu").op_type = "Celu"


def _bool_operand(model: ModelProto) -> None:
    for value in model.graph.value_info:
        if value.name == "head.stage1.sum":
            value.type.tensor_type.elem_type = TensorProto.BOOL


def _uint8_transposed(model: ModelProto) -> None:
    made = helper.make_node("Transpose", ["image"], ["turned"], name="turned", perm=[0, 3, 1, 2])
    model.graph.node.append(made)


def _zero_scale(model: ModelProto) -> None:
    name = "stage1.patch_embed.weight.scale"
    values = numpy_helper.to_array(weight(model, name)).copy()
    values[0] = 0
    _replace(model, name, values)


def _wide_scale(model: ModelProto) -> None:
    name = "head.relu.dequantized_half.scale"
    _replace(model, name, numpy_helper.to_array(weight(model, name)).astype(np.float32))


def _output_dtype(model: ModelProto) -> None:
    made = node(model, "head.relu.dequantized_half.levels")
    made.attribute.append(helper.make_attribute("output_dtype", TensorProto.INT8))


def _no_zero_point(model: ModelProto) -> None:
    del node(model, "head.relu.dequantized_half").input[2]


def _other_zero_point(model: ModelProto) -> None:
    _replace(model, "head.relu.dequantized_half.zero", np.array(3, np.int8))


def _unsigned_zero_point(model: ModelProto) -> None:
    _replace(model, "head.relu.dequantized_half.zero", np.array(0, np.uint8))


def _one_scale_for_all(model: ModelProto) -> None:
    _replace(model, "stage1.patch_embed.weight.scale", np.array(0.01, np.float16))


def _other_axis(model: ModelProto) -> None:
    (axis,) = node(model, "stage1.block0.q.weight.dequantized").attribute
    axis.i = 0


def _float_weight_beside_int8(model: ModelProto) -> None:
    name = "stage1.block0.ffn_in"
    data = node(model, name).input[1]
    values = np.zeros((128, 32, 1, 1), np.float16)
    model.graph.initializer.append(numpy_helper.from_array(values, f"{data}.float"))
    node(model, name).input[1] = f"{data}.float"


def _scales_of_an_activation(model: ModelProto) -> None:
    name = "head.relu.dequantized_half.scale"
    _replace(model, name, np.full(256, 0.1, np.float16))


def _quantized_softmax(model: ModelProto) -> None:
    node(model, "stage1.block0.softmax").input[0] = "head.relu.dequantized_half"


def _quantized_product(model: ModelProto) -> None:
    node(model, "stage1.block0.values").input[1] = "head.relu.dequantized_half"


def _quantized_gelu(model: ModelProto) -> None:
    node(model, "stage1.block0.gelu.erf").input[0] = "head.relu.dequantized_half"


def _integer_bias(model: ModelProto) -> None:
    name = "stage1.patch_embed.bias"
    _replace(model, name, np.zeros(32, np.int32))


def _half_norm(model: ModelProto) -> None:
    made = node(model, "stage1.embed_norm")
    for value in model.graph.value_info:
        if value.name in {made.input[0], made.output[0]}:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16


def _norm_in_pieces(model: ModelProto) -> None:
    node(model, "head.relu").op_type = "ReduceMean"


def _scale_after_the_product(model: ModelProto) -> None:
    softmax = node(model, "stage1.block0.softmax")
    softmax.input[0] = "stage1.block0.gelu"


BREAKING: list[tuple[str, Callable[[ModelProto], None]]] = [
    ("opset 19 or 20 and IR at most 10; 23 and 11 with Attention", _newer_opset),
    ("opset 19 or 20 and IR at most 10; 23 and 11 with Attention", _newer_ir),
    ("onnx's full check", _unsorted),
    ("static shapes, one batch at both ends", _batch_of_two),
    ("static shapes, one batch at both ends", _dynamic),
    ("operators and types of TensorRT's parser", _other_operator),
    ("operators and types of TensorRT's parser", _bool_operand),
    ("uint8 at the ends only, into one Cast", _uint8_transposed),
    ("scales above 0, of the type around them", _zero_scale),
    ("scales above 0, of the type around them", _wide_scale),
    ("scales above 0, of the type around them", _output_dtype),
    ("int8 zero points, present and 0", _no_zero_point),
    ("int8 zero points, present and 0", _other_zero_point),
    ("int8 zero points, present and 0", _unsigned_zero_point),
    ("int8 weights, one scale an output channel", _one_scale_for_all),
    ("int8 weights, one scale an output channel", _other_axis),
    ("int8 weights, one scale an output channel", _float_weight_beside_int8),
    ("activations have one scale", _scales_of_an_activation),
    ("softmax, LayerNorm, GELU and attention products stay float", _quantized_softmax),
    ("softmax, LayerNorm, GELU and attention products stay float", _quantized_product),
    ("softmax, LayerNorm, GELU and attention products stay float", _quantized_gelu),
    ("biases stay float", _integer_bias),
    ("LayerNormalization is one node in FP32", _half_norm),
    ("LayerNormalization is one node in FP32", _norm_in_pieces),
    ("the attention scale is in q", _scale_after_the_product),
]


@pytest.mark.parametrize(("rule", "damage"), BREAKING)
def test_a_broken_rule_is_named(
    typed: ModelProto, rule: str, damage: Callable[[ModelProto], None]
) -> None:
    broken = ModelProto()
    broken.CopyFrom(typed)
    damage(broken)
    assert rule in find_violations(broken)
    with pytest.raises(ExportError, match=r"it is not for TensorRT: .*please report this"):
        check_rules(broken, origin="it")


def test_every_rule_is_broken_on_purpose() -> None:
    assert {rule for rule, _ in BREAKING} == set(RULES)
