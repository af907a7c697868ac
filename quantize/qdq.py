"""INT8 for ONNX Runtime: QuantizeLinear and DequantizeLinear around what a recipe names.

Activations are uint8 with a zero point and one scale a tensor. Weights are int8 and symmetric, with
one scale an output channel. Biases are int32. These are the operands of ONNX Runtime's fast kernels
on x86 and Arm. Convolutions are quantized at their output, too; otherwise the integer convolution
would not be used. Matrix products are not: their integer kernel gives float.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.calibration.ranges import Range
from edgeseg.quantize.exact_pixels import (
    CENTERED,
    PIXEL_RANGE,
    can_be_exact,
    center_pixels_exactly,
)
from edgeseg.quantize.recipes import Recipe
from edgeseg.segformer.arch import Role
from edgeseg.segformer.groups import find_group

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["QDQ_ROLES", "list_quantizable", "to_qdq"]

OP_TYPES: Final = ("Conv", "Gemm", "MatMul")
QDQ_ROLES: Final = frozenset(role.value for role in Role)


def to_qdq(model: ModelProto, recipe: Recipe, ranges: Mapping[str, Range]) -> ModelProto:
    """Write a quantized copy of a float graph; `ranges` has the range of every tap, by name."""
    from onnx import ModelProto
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    if can_be_exact(model, recipe):
        model = center_pixels_exactly(model, joins_pixels=True)
        ranges = {**ranges, CENTERED: PIXEL_RANGE}
    copy = ModelProto()
    copy.CopyFrom(model)
    nodes = [n.name for n in list_quantizable(model) if find_group(n.name) in recipe.int8]
    if not nodes:
        return copy
    data = {
        name: TensorData(lowest=np.float32(covered.low), highest=np.float32(covered.high))
        for name, covered in ranges.items()
    }
    quantizer = QDQQuantizer(
        copy,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, data),
        nodes_to_quantize=nodes,
        nodes_to_exclude=[],
        op_types_to_quantize=list(OP_TYPES),
        extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()  # the quantizer appends the nodes that it adds
    made: ModelProto = quantizer.model.model
    return made


def list_quantizable(model: ModelProto) -> list[NodeProto]:
    """List the nodes that some recipe quantizes."""
    return [n for n in model.graph.node if n.op_type in OP_TYPES and find_group(n.name) is not None]
