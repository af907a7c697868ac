"""Writes ONNX nodes one by one, each under a name of our choosing.

A node has one output, and the output has the node's name. So the name of a value says where it
comes from: `stage2.block0.scores`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["GELU_OPSET", "IR_VERSION", "OPSET", "GraphWriter"]

# The oldest readers are TensorRT 10.3 (opset 20) and ONNX Runtime 1.23 on Python 3.10 (IR 12).
# Opset 17 is the first with LayerNormalization, and 19 the first whose Q/DQ scales may be FP16.
# Opset 20 is the first with Gelu as one node; between integer convolutions, engines would split
# the five nodes that replace it.
OPSET = 19
GELU_OPSET = 20
IR_VERSION = 10


class GraphWriter:
    """Collects nodes and weights, then makes a checked model of them."""

    def __init__(self, opset: int = OPSET) -> None:
        self.opset = opset
        self._nodes: list[NodeProto] = []
        self._initializers: list[TensorProto] = []

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        name: str,
        **attributes: int | float | str | list[int],
    ) -> str:
        """Add a node; return its output, which is called `name`."""
        made = helper.make_node(op, list(inputs), [name], name=name, **attributes)  # type: ignore[arg-type]  # attributes are not its named parameters
        self._nodes.append(made)
        return name

    def weight(self, name: str, values: npt.NDArray[np.generic]) -> str:
        """Add an initializer; return its name."""
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def model(
        self,
        *,
        name: str,
        inputs: tuple[str, np.dtype[np.generic], Sequence[int]],
        outputs: tuple[str, np.dtype[np.generic], Sequence[int]],
    ) -> ModelProto:
        """Make the model of everything written so far, with one input and one output.

        Both are given as (name, dtype, shape). The shape of every value is inferred and recorded,
        and the model has passed onnx's full check.
        """
        graph = helper.make_graph(
            self._nodes,
            name,
            [_make_value_info(*inputs)],
            [_make_value_info(*outputs)],
            self._initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=IR_VERSION,
            producer_name="edgeseg",
        )
        model = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        checker.check_model(model, full_check=True)
        return model


def _make_value_info(name: str, dtype: np.dtype[np.generic], shape: Sequence[int]) -> TensorProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape)
