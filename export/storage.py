"""Stores the weights of a graph in half the bytes, whatever type the graph computes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.errors import ExportError

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["halve_weights"]

# A weight with fewer values is not worth a node.
_SMALLEST: Final = 1024


def halve_weights(model: ModelProto) -> ModelProto:
    """Copy the model with its large FP32 weights stored as FP16: half the bytes.

    Casts restore FP32. Engines fold the casts when they open the file, so the model computes in
    FP32, at the same speed.

    Raises:
        ExportError: a weight is beyond FP16's range (65504).
    """
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    stored = ModelProto()
    stored.CopyFrom(model)
    casts = []
    for weight in stored.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        if values.size < _SMALLEST:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ExportError(f"weight {weight.name} is beyond FP16's range; store it as FP32")
        name = weight.name
        half = f"{name}.half"
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], name=name, to=TensorProto.FLOAT))
    nodes = [*casts, *stored.graph.node]
    del stored.graph.node[:]
    stored.graph.node.extend(nodes)
    return stored
