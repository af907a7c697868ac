"""Reads an ONNX file of a quantizer as a program, and writes it with other constants.

QuantizeLinear becomes a quantization, and the DequantizeLinear after it passes the value on. An
INT8 weight becomes a float constant, which is quantized again at each step of a training. A value
that the file holds in FP16 is rounded to what FP16 can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg.errors import ExportError
from edgeseg.files.whole import write_file
from edgeseg.recovery import operators
from edgeseg.recovery.constants import (
    make_fixed,
    make_float_weight,
    make_quantized_weight,
    make_scale,
    make_shift,
)
from edgeseg.recovery.onnx_operators import ONNX_OPERATORS, READ, AttributedNode
from edgeseg.recovery.program import Array, Constant, Kind, Program, Quantization, Step, Values

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from torch import Tensor

__all__ = ["read_onnx_program"]

_Number: TypeAlias = npt.NDArray[Any]

# Inputs that are weights, gains or shifts, by the operator that reads them.
_TRAINED: Final = {
    ("Conv", 1): Kind.WEIGHT,
    ("Gemm", 1): Kind.WEIGHT,
    ("MatMul", 1): Kind.WEIGHT,
    ("Conv", 2): Kind.SHIFT,
    ("Gemm", 2): Kind.SHIFT,
    ("LayerNormalization", 1): Kind.SHIFT,
    ("LayerNormalization", 2): Kind.SHIFT,
    ("Add", 0): Kind.SHIFT,
    ("Add", 1): Kind.SHIFT,
}
# What comes before the network: the camera's pixels, less their mean.
_PREPROCESS: Final = "preprocess."


def read_onnx_program(path: Path) -> Program:
    """Read the program of an ONNX file with a batch of 1 and fixed shapes.

    Raises:
        ExportError: it has an operator that no program can have.
    """
    import onnx

    return _Reader(onnx.load(path), path.name).read()


class _Reader:
    """Reads one graph, node by node."""

    def __init__(self, model: ModelProto, origin: str) -> None:
        from onnx import TensorProto, numpy_helper, shape_inference

        graph = model.graph
        self._model = model
        self._origin = origin
        self._numbers = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        inferred = shape_inference.infer_shapes(model).graph.value_info
        self._halves = {
            one.name for one in inferred if one.type.tensor_type.elem_type == TensorProto.FLOAT16
        }
        self._steps: list[Step | Quantization] = []
        self._constants: dict[str, Constant] = {}
        self._same: dict[str, str] = {}
        self._scales: dict[str, str] = {}
        self._biases: dict[str, tuple[str, str, str]] = {}

    def read(self) -> Program:
        for node in self._model.graph.node:
            if node.op_type == "QuantizeLinear":
                self._read_quantize(node)
            elif node.op_type == "DequantizeLinear":
                self._read_dequantize(node)
            else:
                self._read_step(node)
        return Program(
            source=self._model.graph.input[0].name,
            result=self._find(self._model.graph.output[0].name),
            steps=tuple(self._steps),
            constants=self._constants,
            write=partial(_write, self._model, self._biases),
        )

    def _read_quantize(self, node: NodeProto) -> None:
        source, scale, zero = node.input
        point = self._numbers[zero]
        ends = np.iinfo(point.dtype)
        self._keep_scale(scale, self._numbers[scale])
        self._steps.append(
            Quantization(
                name=node.name,
                source=self._find(source),
                scale=scale,
                lowest=np.asarray(float(ends.min) - point, np.float32),
                highest=np.asarray(float(ends.max) - point, np.float32),
                output=node.output[0],
            )
        )
        self._scales[node.output[0]] = scale

    def _read_dequantize(self, node: NodeProto) -> None:
        source, scale, *_ = node.input
        stored = self._numbers.get(source)
        (output,) = node.output
        if stored is None:
            self._pass_on(self._find(source), output)
            self._scales[output] = scale
            return
        axis = AttributedNode(node, self._numbers).get("axis", 1)
        step = _align(self._numbers[scale].astype(np.float32), axis, stored.ndim)
        value = stored.astype(np.float32) * step
        if stored.dtype == np.int32:
            self._constants[source] = make_shift(value)
            self._same[output] = source
            return
        self._constants[source] = make_quantized_weight(value, step)
        self._keep_scale(scale, step)
        whole = f"{output}.in_whole_steps"
        self._steps.append(
            Quantization(
                name=node.name,
                source=source,
                scale=scale,
                lowest=np.asarray(-127, np.float32),
                highest=np.asarray(127, np.float32),
                output=whole,
            )
        )
        self._pass_on(whole, output)
        self._scales[output] = scale

    def _pass_on(self, source: str, output: str) -> None:
        """Pass a value on as the output of a DequantizeLinear."""
        if output not in self._halves:
            self._same[output] = source
            return
        self._steps.append(
            Step(name=output, inputs=(source,), output=output, compute=operators.round_to_half)
        )

    def _keep_scale(self, name: str, value: _Number) -> None:
        step = value.astype(np.float32)
        if name not in self._constants:
            self._constants[name] = make_scale(step)

    def _read_step(self, node: NodeProto) -> None:
        make = ONNX_OPERATORS.get(node.op_type)
        if make is None:
            raise ExportError(f"{self._origin}: {node.op_type} of {node.name} cannot be trained")
        compute = make(AttributedNode(node, self._numbers))
        (output,) = node.output
        if output in self._halves:
            compute = _round(compute)
        places = READ.get(node.op_type, len(node.input))
        inputs = [self._find(name) for name in node.input[:places]]
        for place, name in enumerate(inputs):
            if name in self._numbers and name not in self._constants:
                self._keep_number(node, place, name)
        if node.op_type in {"Conv", "Gemm"} and len(node.input) > 2:
            self._note_bias(node)
        self._steps.append(
            Step(name=node.name, inputs=tuple(inputs), output=output, compute=compute)
        )

    def _note_bias(self, node: NodeProto) -> None:
        """Note of which scales the scale of an INT32 bias is the product."""
        bias = self._find(node.input[2])
        if self._numbers[bias].dtype == np.int32:
            x, weight = (self._scales[name] for name in node.input[:2])
            maker = next(n for n in self._model.graph.node if node.input[2] in n.output)
            self._biases[bias] = (maker.input[1], x, weight)

    def _keep_number(self, node: NodeProto, place: int, name: str) -> None:
        value = self._numbers[name].astype(np.float32)
        kind = _TRAINED.get((node.op_type, place), Kind.FIXED)
        if node.name.startswith(_PREPROCESS):
            kind = Kind.FIXED
        if kind is Kind.WEIGHT:
            self._constants[name] = make_float_weight(value)
        elif kind is Kind.SHIFT:
            self._constants[name] = make_shift(value)
        else:
            self._constants[name] = make_fixed(value)

    def _find(self, name: str) -> str:
        while name in self._same:
            name = self._same[name]
        return name


def _align(step: Array, axis: int, dimensions: int) -> Array:
    """Shape the steps of a weight's channels so that they multiply the weight."""
    if step.ndim == 0 or step.size == 1:
        return step.reshape(())
    shape = [1] * dimensions
    shape[axis] = -1
    return step.reshape(shape)


def _round(compute: operators.Operator) -> operators.Operator:
    def rounded(*values: Tensor) -> Tensor:
        return operators.round_to_half(compute(*values))

    return rounded


def _write(
    model: ModelProto,
    biases: Mapping[str, tuple[str, str, str]],
    values: Values,
    path: Path,
) -> None:
    """Write a copy of a model in which constants have other values."""
    from onnx import ModelProto, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    old = {one.name: numpy_helper.to_array(one) for one in copy.graph.initializer}
    scale_of = {
        node.input[0]: (node.input[1], AttributedNode(node, old).get("axis", 1))
        for node in copy.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in old
    }
    new: dict[str, _Number] = {}
    for name, value in values.items():
        stored = old[name]
        if stored.dtype == np.int8:
            scale, axis = scale_of[name]
            step = _align(values.get(scale, old[scale]), axis, stored.ndim)
            new[name] = np.clip(np.rint(value / step), -127, 127).astype(np.int8)
        elif stored.dtype == np.int32:
            scale, x, weight = biases[name]
            x_step = np.asarray(values.get(x, old[x]), np.float32).reshape(())
            step = x_step * np.asarray(values.get(weight, old[weight]), np.float32).ravel()
            ends = np.iinfo(np.int32)
            new[scale] = step.astype(old[scale].dtype).reshape(old[scale].shape)
            whole = np.clip(np.rint(value.astype(np.float64) / step), ends.min, ends.max)
            new[name] = whole.astype(np.int32)
        else:
            new[name] = value.astype(stored.dtype).reshape(stored.shape)
    for one in copy.graph.initializer:
        if one.name in new:
            one.CopyFrom(numpy_helper.from_array(new[one.name], one.name))
    write_file(path, copy.SerializeToString())
