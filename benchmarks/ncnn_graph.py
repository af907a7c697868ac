"""Writes the deployed graph in ncnn's format: a text of layers, and a file of weights.

Read is the ONNX graph that edgeseg writes, by the names of its nodes. In ncnn tokens are a matrix
of H*W rows, and an image is three planes; batch 1 is implied in both.

ncnn's MultiHeadAttention and SDPA give each head to one thread. Stage 1 has one head, so it would
run on one core. `pieces` splits the queries of every head into as many pieces, which SDPA takes for
heads that share their keys and values: the same numbers, on more cores.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

# What the weights begin with where ncnn may find another type than FP32.
_FP32: Final = b"\0\0\0\0"
_NEAREST, _BILINEAR, _AVERAGE = 1, 2, 1
_PLAIN: Final = {
    "Gelu": ("GELU", ""),
    "Relu": ("ReLU", ""),
    "Add": ("BinaryOp", "0=0"),
    "Identity": ("Noop", ""),
}
# Nodes that another node's layer computes: of attention, of merging, of changes of layout.
_is_part: Final = re.compile(
    r".*\.(q|k|v|kv)(_heads(\.split)?)?|.*\.(scores|softmax|merge_heads|values)"
    r"|.*_(average|spread)\..*|preprocess\..*|.*\.(channels_last|grid)"
).fullmatch

Shape = tuple[int, ...]


def write_ncnn(model: onnx.ModelProto, stem: Path, *, pieces: int) -> Counter[str]:
    """Write `stem`.param and `stem`.bin; count the layers of each kind.

    The file takes the image's BGR pixels as floats. `model` is the graph before any engine's own
    rewrite, with Gelu as one node. With one piece attention is MultiHeadAttention, else SDPA.
    """
    writer = _Writer(model, pieces)
    for node in model.graph.node:
        writer.take(node)
    text, weights = writer.finish()
    stem.with_suffix(".param").write_text(text)
    stem.with_suffix(".bin").write_bytes(weights)
    return Counter(line.split()[0] for line in text.splitlines()[2:])


class _Writer:
    """Collects layers; a value of the ONNX graph keeps its name."""

    def __init__(self, model: onnx.ModelProto, pieces: int) -> None:
        self._weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
        self._shapes = _read_shapes(model)
        self._nodes = {node.name: node for node in model.graph.node}
        self._pieces = pieces
        self._lines: list[tuple[str, str, list[str], list[str], str]] = []
        self._content: list[bytes] = []
        # Values of the ONNX graph that are the same as another here.
        self._same: dict[str, str] = {}
        self._by_name: dict[str, Callable[[str], None]] = {
            "preprocess.center": self._write_input,
            "_average": self._write_average,
            "_spread": self._write_spread,
            ".merged": self._write_attention,
        }
        self._by_operator: dict[str, Callable[[onnx.NodeProto], None]] = {
            "Reshape": self._write_reshape,
            "Transpose": self._write_transpose,
            "Conv": self._write_conv,
            "Gemm": self._write_gemm,
            "LayerNormalization": self._write_norm,
            "Resize": self._write_resize,
            **dict.fromkeys(_PLAIN, self._write_plain),
        }

    def take(self, node: onnx.NodeProto) -> None:
        """Write what a node computes, unless another node's layer does."""
        for ending, write in self._by_name.items():
            if node.name.endswith(ending):
                write(node.name)
                return
        if not _is_part(node.name):
            self._by_operator[node.op_type](node)

    def _write_input(self, name: str) -> None:
        _, channels, height, width = self._shapes[name]
        self._add("Input", "image", [], f"0={width} 1={height} 2={channels}")
        mean = self._weights["preprocess.mean"].ravel()
        self._add("Bias", name, ["image"], f"0={channels}", -mean)

    def _write_reshape(self, node: onnx.NodeProto) -> None:
        self._write_tokens(node.name, self._nodes[node.input[0]].input[0])

    def _write_transpose(self, node: onnx.NodeProto) -> None:
        tokens = self._nodes[node.input[0]].input[0]
        self._same[node.name] = self._write_image(tokens, self._shapes[node.name])

    def _write_gemm(self, node: onnx.NodeProto) -> None:
        if self._pieces > 1 or not node.name.endswith(".attn_out"):
            weight, bias = (self._weights[key] for key in node.input[1:])
            self._write_linear(node.name, node.input[0], weight, bias)

    def _write_resize(self, node: onnx.NodeProto) -> None:
        height, width = self._shapes[node.name][2:]
        self._add("Interp", node.name, [node.input[0]], f"0={_BILINEAR} 3={height} 4={width}")

    def _write_plain(self, node: onnx.NodeProto) -> None:
        kind, rest = _PLAIN[node.op_type]
        self._add(kind, node.name, list(node.input), rest)

    def finish(self) -> tuple[str, bytes]:
        """Give the text and the weights; a value with several readers goes through a Split."""
        readers = Counter(name for _, _, inputs, _, _ in self._lines for name in inputs)
        turn: Counter[str] = Counter()
        lines = []
        for kind, name, inputs, outputs, rest in self._lines:
            taken = []
            for value in inputs:
                many = readers[value] > 1
                taken.append(f"{value}_to_{turn[value]}" if many else value)
                turn[value] += 1
            lines.append((kind, name, taken, outputs, rest))
            for value in outputs:
                if readers[value] > 1:
                    copies = [f"{value}_to_{index}" for index in range(readers[value])]
                    lines.append(("Split", f"{value}_split", [value], copies, ""))
        blobs = sum(len(outputs) for _, _, _, outputs, _ in lines)
        text = [
            f"{kind} {name} {len(inputs)} {len(outputs)} {' '.join([*inputs, *outputs])} {rest}"
            for kind, name, inputs, outputs, rest in lines
        ]
        head = ["7767517", f"{len(lines)} {blobs}"]
        return "\n".join([*head, *text]) + "\n", b"".join(self._content)

    def _add(
        self, kind: str, name: str, inputs: list[str], rest: str, *weights: np.ndarray | bytes
    ) -> str:
        inputs = [self._same.get(value, value) for value in inputs]
        self._lines.append((kind, name, inputs, [name], rest))
        for weight in weights:
            values = weight if isinstance(weight, bytes) else _to_bytes(weight)
            self._content.append(values)
        return name

    def _write_image(self, tokens: str, shape: Shape) -> str:
        """Write (H*W, C) as an image; the same tokens are turned once."""
        _, channels, height, width = shape
        turned = f"{tokens}_image"
        if turned not in self._shapes:
            self._shapes[turned] = shape
            self._add("Permute", f"{tokens}_turned", [tokens], "0=1")
            self._add("Reshape", turned, [f"{tokens}_turned"], f"0={width} 1={height} 2={channels}")
        return turned

    def _write_tokens(self, name: str, image: str) -> str:
        rows, channels = self._shapes[name]
        self._add("Reshape", f"{name}_planes", [image], f"0={rows} 1={channels}")
        return self._add("Permute", name, [f"{name}_planes"], "0=1")

    def _write_conv(self, node: onnx.NodeProto) -> None:
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        weight = self._weights[node.input[1]]
        biases = [self._weights[key] for key in node.input[2:]]
        group, (height, width) = given.get("group", 1), weight.shape[2:]
        stride, pad = given.get("strides", [1, 1])[0], given.get("pads", [0])[0]
        rest = (
            f"0={len(weight)} 1={width} 11={height} 3={stride} 4={pad} 5={len(biases)} "
            f"6={weight.size}"
        )
        kind = "Convolution"
        if group > 1:
            kind, rest = "ConvolutionDepthWise", f"{rest} 7={group}"
        self._add(kind, node.name, [node.input[0]], rest, _FP32, weight, *biases)

    def _write_linear(self, name: str, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
        rows, columns = weight.shape
        rest = f"3=1 5=1 6=1 8={columns} 9={rows} 10=4"
        return self._add("Gemm", name, [x], rest, _FP32, weight.T, _FP32, bias)

    def _write_norm(self, node: onnx.NodeProto) -> None:
        gain, shift = (self._weights[key] for key in node.input[1:])
        epsilon = next(a.f for a in node.attribute if a.name == "epsilon")
        rest = f"0={len(gain)} 1={epsilon:e}"
        self._add("LayerNorm", node.name, [node.input[0]], rest, gain, shift)

    def _write_attention(self, name: str) -> None:
        block = name.removesuffix(".merged")
        query, both = self._nodes[f"{block}.q"], self._nodes[f"{block}.kv"]
        heads, depth = (int(size) for size in self._weights[f"{block}.q_heads.split.shape"][1:])
        width = heads * depth
        q, kv = (self._weights[f"{block}.{key}.weight"] for key in ("q", "kv"))
        q_bias, kv_bias = (self._weights[f"{block}.{key}.bias"] for key in ("q", "kv"))
        keys, values = (kv[:, :width], kv_bias[:width]), (kv[:, width:], kv_bias[width:])
        if self._pieces == 1:
            out, out_bias = (self._weights[f"{block}.attn_out.{k}"] for k in ("weight", "bias"))
            pairs = [(q, q_bias), keys, values, (out, out_bias)]
            weights = [part for one, bias in pairs for part in (_FP32, one.T, bias)]
            rest = f"0={width} 1={heads} 2={q.size} 3={width} 4={width} 6=1.0"
            inputs = [query.input[0], both.input[0]]
            self._add("MultiHeadAttention", f"{block}.attn_out", inputs, rest, *weights)
            return
        asked = self._shapes[f"{block}.merged"][0]
        self._write_linear(f"{block}.q", query.input[0], q, q_bias)
        self._write_linear(f"{block}.k", both.input[0], *keys)
        self._write_linear(f"{block}.v", both.input[0], *values)
        known = self._shapes[f"{block}.kv"][0]
        pieces = self._pieces if asked % self._pieces == 0 else 1
        parts = [
            self._split_heads(f"{block}.q", asked, heads, depth, pieces),
            self._split_heads(f"{block}.k", known, heads, depth, 1),
            self._split_heads(f"{block}.v", known, heads, depth, 1),
        ]
        mixed = self._add("SDPA", f"{block}.values", parts, "6=1.0")
        if heads > 1:
            x = self._add("Reshape", f"{mixed}_whole", [mixed], f"0={depth} 1={asked} 2={heads}")
            mixed = self._add("Permute", f"{mixed}_turned", [x], "0=2")
        self._add("Reshape", f"{block}.merged", [mixed], f"0={width} 1={asked}")

    def _split_heads(self, name: str, rows: int, heads: int, depth: int, pieces: int) -> str:
        """Write (rows, heads*depth) as `heads` times `pieces` matrices of `depth` columns."""
        x = name
        if heads > 1:
            x = self._add("Reshape", f"{name}_split", [x], f"0={depth} 1={heads} 2={rows}")
            x = self._add("Permute", f"{name}_heads", [x], "0=2")
        if heads == 1 or pieces > 1:
            rest = f"0={depth} 1={rows // pieces} 2={heads * pieces}"
            x = self._add("Reshape", f"{name}_pieces", [x], rest)
        return x

    def _write_average(self, name: str) -> None:
        """Write the average over 2x2 neighbors; at an odd end, ncnn averages what is there."""
        odd = f"{name}.grid.shape" in self._weights
        sizes = self._weights[f"{name}.grid.shape" if odd else f"{name}.fours.shape"]
        tokens = self._nodes[f"{name}.grid" if odd else f"{name}.fours"].input[0]
        height, width = sizes[:2] if odd else (2 * sizes[0], 2 * sizes[2])
        image = self._write_image(tokens, (1, int(sizes[-1]), int(height), int(width)))
        x = self._add("Pooling", f"{name}_pooled", [image], f"0={_AVERAGE} 1=2 2=2")
        self._write_tokens(name, x)

    def _write_spread(self, name: str) -> None:
        """Write the spreading over 2x2 neighbors."""
        rows, _, columns, _, channels = (int(n) for n in self._weights[f"{name}.ones.shape"])
        tokens = self._nodes[f"{name}.ones"].input[0]
        x = self._write_image(tokens, (1, channels, rows, columns))
        x = self._add("Interp", f"{name}_large", [x], f"0={_NEAREST} 1=2.0 2=2.0")
        if f"{name}.cut.end" in self._weights:
            height, width = (int(n) for n in self._weights[f"{name}.cut.end"])
            x = self._add("Crop", f"{name}_cut", [x], f"3={width} 4={height} 5={channels}")
        self._write_tokens(name, x)


def _read_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    values = [*model.graph.value_info, *model.graph.output]
    return {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}


def _to_bytes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, np.float32).tobytes()
