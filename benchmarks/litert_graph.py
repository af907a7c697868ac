"""Writes the deployed graph, in its exact form, as LiteRT's flat buffer.

Read is the ONNX graph that edgeseg writes. LiteRT keeps an image's channels last, so tokens and
images differ in shape only, and no value changes its layout. LayerNorm is nine operators here,
for LiteRT has none.
"""

from __future__ import annotations

from collections import Counter

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import helper, numpy_helper

# The transposes of ONNX between an image's layout and tokens.
_LAYOUTS = ([0, 2, 3, 1], [0, 3, 1, 2])
_TYPES = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}
_TYPES["uint8"] = schema.TensorType.UINT8


def write_litert(model: onnx.ModelProto) -> tuple[bytes, Counter[str]]:
    """Give the file, which takes the uint8 (1, H, W, C) image, and how many operators it has."""
    writer = _Writer(model)
    for node in model.graph.node:
        writer.take(node)
    return writer.finish(model.graph.input[0].name, model.graph.output[0].name)


class _Writer:
    """Collects tensors and operators; a value of the ONNX graph keeps its name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
        graph = model.graph
        self._shapes = {
            value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in [*graph.value_info, *graph.input, *graph.output]
        }
        self._tensors: list[schema.TensorT] = []
        self._buffers = [schema.BufferT()]  # the first is always empty
        self._operators: list[schema.OperatorT] = []
        self._codes: list[str] = []
        self._indices: dict[str, int] = {}
        self._add_tensor(graph.input[0].name, self._shapes[graph.input[0].name], "uint8")

    def take(self, node: onnx.NodeProto) -> None:
        """Write one node; keys and values are two linear layers here, and need no Slice."""
        by_operator = {
            "Transpose": self._write_transpose,
            "Reshape": self._write_reshape,
            "Conv": self._write_conv,
            "Gemm": self._write_gemm,
            "LayerNormalization": self._write_norm,
            "Resize": self._write_resize,
        }
        if node.op_type == "Identity":
            self._indices[node.name] = self._indices[node.input[0]]
        elif node.op_type != "Slice":
            by_operator.get(node.op_type, self._write_plain)(node)

    def _write_transpose(self, node: onnx.NodeProto) -> None:
        (perm,) = (helper.get_attribute_value(a) for a in node.attribute)
        if perm in _LAYOUTS:
            self._indices[node.name] = self._indices[node.input[0]]
            return
        inputs = [node.input[0], self._constant(np.array(perm, np.int32))]
        self._run("TRANSPOSE", node.name, inputs, self._shapes[node.name])

    def _write_reshape(self, node: onnx.NodeProto) -> None:
        shape = self._shapes[node.name]
        inputs = [node.input[0], self._constant(np.array(shape, np.int32))]
        self._run("RESHAPE", node.name, inputs, shape)

    def _write_resize(self, node: onnx.NodeProto) -> None:
        shape, options = _to_last(self._shapes[node.name]), schema.ResizeBilinearOptionsT()
        options.halfPixelCenters = True
        size = self._constant(np.array(shape[1:3], np.int32))
        self._run("RESIZE_BILINEAR", node.name, [node.input[0], size], shape, options)

    def _write_plain(self, node: onnx.NodeProto) -> None:
        kind = "BATCH_MATMUL" if node.op_type == "MatMul" else node.op_type.upper()
        options = schema.SoftmaxOptionsT() if kind == "SOFTMAX" else None
        if options is not None:
            options.beta = 1.0
        mean = "preprocess.mean"
        inputs = [
            self._constant(self._weights[key].ravel()) if key == mean else key for key in node.input
        ]
        self._run(kind, node.name, inputs, _to_last(self._shapes[node.name]), options)

    def _write_gemm(self, node: onnx.NodeProto) -> None:
        weight, bias = (self._weights[key] for key in node.input[1:])
        self._write_linear(node.name, node.input[0], weight, bias)

    def finish(self, given: str, result: str) -> tuple[bytes, Counter[str]]:
        """Put the file together."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = [self._indices[given]], [self._indices[result]]
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self._buffers
        model.operatorCodes = [_make_code(kind) for kind in self._codes]
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        counts = Counter(self._codes[one.opcodeIndex] for one in self._operators)
        return bytes(builder.Output()), counts

    def _constant(self, values: np.ndarray) -> str:
        name = f"constant{len(self._tensors)}"
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._buffers.append(buffer)
        self._add_tensor(name, values.shape, str(values.dtype), buffer=len(self._buffers) - 1)
        return name

    def _add_tensor(self, name: str, shape: list[int], dtype: str, *, buffer: int = 0) -> None:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), _TYPES[dtype]
        tensor.buffer = buffer
        self._indices[name] = len(self._tensors)
        self._tensors.append(tensor)

    def _run(
        self, kind: str, name: str, inputs: list[str], shape: list[int], options: object = None
    ) -> str:
        operator = schema.OperatorT()
        if kind not in self._codes:
            self._codes.append(kind)
        operator.opcodeIndex = self._codes.index(kind)
        operator.inputs = [self._indices[value] for value in inputs]
        self._add_tensor(name, shape, "float32")
        operator.outputs = [self._indices[name]]
        if options is not None:
            kind_of_options = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind_of_options)
            operator.builtinOptions = options
        self._operators.append(operator)
        return name

    def _write_conv(self, node: onnx.NodeProto) -> None:
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        name, x = node.name, node.input[0]
        weight = self._weights[node.input[1]]
        bias = np.zeros(len(weight), np.float32)
        if len(node.input) > len(("x", "weight")):
            bias = self._weights[node.input[2]]
        stride, pad = given.get("strides", [1, 1])[0], given.get("pads", [0])[0]
        deep = given.get("group", 1) > 1
        if pad:
            around = np.array([[0, 0], [pad, pad], [pad, pad], [0, 0]], np.int32)
            batch, channels, height, width = self._shapes.get(x) or [1, 3, 0, 0]
            wide = [batch, height + 2 * pad, width + 2 * pad, channels]
            x = self._run("PAD", f"{name}.padded", [x, self._constant(around)], wide)
        options = schema.DepthwiseConv2DOptionsT() if deep else schema.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = schema.Padding.VALID, stride, stride
        options.dilationHFactor = options.dilationWFactor = 1
        if deep:
            options.depthMultiplier = 1
        order = (1, 2, 3, 0) if deep else (0, 2, 3, 1)
        inputs = [x, self._constant(weight.transpose(order)), self._constant(bias)]
        kind = "DEPTHWISE_CONV_2D" if deep else "CONV_2D"
        self._run(kind, name, inputs, _to_last(self._shapes[name]), options)

    def _write_linear(self, name: str, x: str, weight: np.ndarray, bias: np.ndarray) -> None:
        if name.endswith(".kv"):
            block, half = name.removesuffix(".kv"), len(bias) // 2
            self._write_linear(f"{block}.k", x, weight[:, :half], bias[:half])
            self._write_linear(f"{block}.v", x, weight[:, half:], bias[half:])
            return
        inputs = [x, self._constant(weight.T), self._constant(bias)]
        self._run("FULLY_CONNECTED", name, inputs, self._shapes[name])

    def _write_norm(self, node: onnx.NodeProto) -> None:
        name, x = node.name, node.input[0]
        gain, shift = (self._constant(self._weights[key]) for key in node.input[1:])
        epsilon = next(a.f for a in node.attribute if a.name == "epsilon")
        rows, columns = self._shapes[name]
        axis, one = self._constant(np.array([1], np.int32)), [rows, 1]
        keep = schema.ReducerOptionsT()
        keep.keepDims = True
        mean = self._run("MEAN", f"{name}.mean", [x, axis], one, keep)
        off = self._run("SUB", f"{name}.off", [x, mean], [rows, columns])
        square = self._run("MUL", f"{name}.square", [off, off], [rows, columns])
        variance = self._run("MEAN", f"{name}.variance", [square, axis], one, keep)
        small = self._constant(np.array([epsilon], np.float32))
        above = self._run("ADD", f"{name}.above", [variance, small], one)
        root = self._run("RSQRT", f"{name}.root", [above], one)
        unit = self._run("MUL", f"{name}.unit", [off, root], [rows, columns])
        scaled = self._run("MUL", f"{name}.scaled", [unit, gain], [rows, columns])
        self._run("ADD", name, [scaled, shift], [rows, columns])


def _to_last(shape: list[int]) -> list[int]:
    """Give the shape of an image with its channels last; other shapes stay."""
    images = len(shape) == len("NCHW")
    return [shape[index] for index in (0, 2, 3, 1)] if images else shape


def _make_code(kind: str) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = 1
    return code
