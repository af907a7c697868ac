"""Computes what a strongly typed graph computes, with FP16's roundings, on a CPU without FP16.

ONNX Runtime computes FP16 graphs in FP32 on a CPU, so FP16's rounding and overflow do not show.
Here everything is FP32, and weights are rounded as in FP16. Each value that the typed graph holds
in FP16 goes through a Cast to FP16 and back, which ONNX Runtime keeps.

Two things are not emulated: how a kernel accumulates inside (in FP32 or FP16, in which order), and
fused kernels that skip a rounding between two nodes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.backends.checked import Checked
from edgeseg.runtime.backends.onnxruntime import OrtBackend

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["to_fp32_emulation", "open_emulation"]


def to_fp32_emulation(model: ModelProto) -> ModelProto:
    """Write a float32 graph that computes what a typed one does, with the same input and output."""
    from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

    half, single = TensorProto.FLOAT16, TensorProto.FLOAT
    kinds = {
        v.name: v.type.tensor_type.elem_type
        for v in shape_inference.infer_shapes(model).graph.value_info
    }
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    for part in (graph.node, graph.initializer, graph.value_info):
        del part[:]
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        widened = values.astype(np.float32) if values.dtype == np.float16 else values
        graph.initializer.append(numpy_helper.from_array(widened, weight.name))
    for node in model.graph.node:
        made = NodeProto()
        made.CopyFrom(node)
        (output,) = node.output
        if kinds.get(output) != half:
            graph.node.append(made)
            continue
        rounded = f"{output}.rounded_to_half"
        made.output[0] = rounded if node.op_type == "Cast" else f"{output}.before_rounding"
        graph.node.append(made)
        if node.op_type != "Cast":
            graph.node.append(helper.make_node("Cast", [made.output[0]], [rounded], to=half))
        graph.node.append(helper.make_node("Cast", [rounded], [output], to=single))
    return copy


def open_emulation(
    path: Path, *, logits_shape: tuple[int, ...] | None = None, optimized: bool = False
) -> Backend:
    """Open an engine that emulates a typed graph's file.

    By default it runs without optimizations: with them ONNX Runtime 1.31 gave garbage for some Q/DQ
    graphs.
    """
    import onnx

    model = to_fp32_emulation(onnx.load(path)).SerializeToString()
    return Checked(OrtBackend(model, optimized=optimized), logits_shape=logits_shape)
