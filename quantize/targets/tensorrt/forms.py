"""Writes the float graph in other forms of the same function, among which a device chooses.

    image      the Mix-FFN's linear layers are 1x1 convolutions: one change of layout, at width C
    tokens     they are matrix products: two changes of layout, at width 4C, around the depth-wise
               convolution
    chain      attention is two products with a Softmax between them, for the builder to fuse
    attention  it is ONNX's operator `Attention`, which TensorRT reads from 10.14 on

Which is faster depends on the GPU and on the builder's version, so every form is built, proved and
timed there. The graph as it is exported is image and chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.quantize.attention import STANDARD, fuse_attention
from edgeseg.segformer.arch import Role

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

__all__ = ["GRAPH_FORMS", "PLAIN", "Formed", "GraphForm", "write_form"]

_BLOCK: Final = re.compile(rf"(?P<block>.+)\.{Role.FFN_IN.value}")
# The nodes of a Mix-FFN that change, by the names that `edgeseg.export` gives them.
_PARTS: Final = (
    *("ffn_image.grid", "ffn_image", Role.FFN_IN.value, Role.DWCONV.value, Role.FFN_OUT.value),
    *("ffn_tokens.channels_last", "ffn_tokens", "ffn_residual"),
)
# Values of the token form, and those of the image form that hold the same; norm2 is in both, but
# only the image form reads a quantized value of it under another name.
_ORIGINS: Final = {
    "norm2": "ffn_image",
    "ffn_wide.grid": Role.FFN_IN.value,
    "ffn_wide": Role.FFN_IN.value,
    "ffn_narrow.channels_last": "gelu",
    "ffn_narrow": "gelu",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphForm:
    """A form of the graph; both false is the graph as it is exported."""

    tokens: bool = False
    attention: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """What the form has in the names of variants and files."""
        parts = {"tokens": self.tokens, "attention": self.attention}
        return tuple(word for word, there in parts.items() if there)


PLAIN: Final = GraphForm()
GRAPH_FORMS: Final = (
    PLAIN,
    GraphForm(tokens=True),
    GraphForm(attention=True),
    GraphForm(tokens=True, attention=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formed:
    """A graph in a form.

    `origins` names, for each value that only the form has, the values of the float graph that it
    replaces; the first has the same content.
    """

    model: ModelProto
    origins: Mapping[str, tuple[str, ...]]

    def add_hot(self, hot: frozenset[str]) -> frozenset[str]:
        """Add to values that FP16 may not hold those of the form."""
        return hot | {new for new, olds in self.origins.items() if not hot.isdisjoint(olds)}

    def add_largest(self, largest: Mapping[str, float]) -> dict[str, float]:
        """Add to known magnitudes those of the form's values."""
        first = {new: olds[0] for new, olds in self.origins.items()}
        return {**{new: largest[o] for new, o in first.items() if o in largest}, **largest}


def write_form(model: ModelProto, form: GraphForm) -> Formed:
    """Write a copy of a float graph, as `edgeseg.export` writes it, in a form."""
    formed = _write_tokens(model) if form.tokens else Formed(model=model, origins={})
    if not form.attention:
        return formed
    made = fuse_attention(formed.model, STANDARD)
    origins = dict(formed.origins)
    for node in made.graph.node:
        if node.op_type == STANDARD.name:
            block = node.name.removesuffix(".attention")
            origins |= {f"{node.name}.{part}": (f"{block}.{part}_heads",) for part in "qkv"}
            # The operator keeps the scores inside.
            origins[node.name] = (f"{block}.{Role.VALUES.value}", f"{block}.{Role.SCORES.value}")
    return Formed(model=_infer(made), origins=origins)


def _write_tokens(model: ModelProto) -> Formed:
    """Write each Mix-FFN on tokens, from one block to the next."""
    from onnx import ModelProto

    nodes = {node.name: node for node in model.graph.node}
    blocks = [match["block"] for name in nodes if (match := _BLOCK.fullmatch(name))]
    written: dict[str, list[NodeProto]] = {}
    edits: dict[str, Callable[[TensorProto], TensorProto]] = {}
    for block in blocks:
        grid, _, first, _, last, _, flat, _ = (nodes[f"{block}.{part}"] for part in _PARTS)
        written |= _write_block(block, nodes)
        edits |= dict.fromkeys((grid.input[1], flat.input[1]), _leave_width_open)
        edits |= dict.fromkeys((first.input[1], last.input[1]), _to_matrix)
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:], copy.graph.value_info[:], copy.graph.initializer[:]
    for node in model.graph.node:
        copy.graph.node.extend(written.get(node.name, [node]))
    copy.graph.initializer.extend(
        edits[weight.name](weight) if weight.name in edits else weight
        for weight in model.graph.initializer
    )
    origins = {f"{b}.{new}": (f"{b}.{old}",) for b in blocks for new, old in _ORIGINS.items()}
    return Formed(model=_infer(copy), origins=origins)


def _write_block(block: str, nodes: Mapping[str, NodeProto]) -> dict[str, list[NodeProto]]:
    """Write one Mix-FFN; give what stands in the place of each node of the image form.

    image    norm2 - to image - ffn_in - dwconv - gelu - ffn_out - to tokens - residual
    tokens   norm2 - ffn_in - to image - dwconv - gelu - to tokens - ffn_out - residual
    """
    grid, image, first, conv, last, turn, flat, residual = (
        nodes[f"{block}.{part}"] for part in _PARTS
    )
    wide, narrow = f"{block}.ffn_wide", f"{block}.ffn_narrow"
    turned = f"{narrow}.channels_last"
    left = [last.name if name == flat.name else name for name in residual.input]
    return {
        **{node.name: [] for node in (grid, image, turn, flat)},
        first.name: [
            _to_gemm(first, grid.input[0]),
            _rewire(grid, [first.name, grid.input[1]], f"{wide}.grid"),
            _rewire(image, [f"{wide}.grid"], wide),
        ],
        conv.name: [_rewire(conv, [wide, *conv.input[1:]], conv.name)],
        last.name: [
            _rewire(turn, [last.input[0]], turned),
            _rewire(flat, [turned, flat.input[1]], narrow),
            _to_gemm(last, narrow),
        ],
        residual.name: [_rewire(residual, left, residual.name)],
    }


def _rewire(node: NodeProto, inputs: Sequence[str], name: str) -> NodeProto:
    made = type(node)()
    made.CopyFrom(node)
    made.name = name
    made.output[0] = name
    del made.input[:]
    made.input.extend(inputs)
    return made


def _to_gemm(conv: NodeProto, data: str) -> NodeProto:
    """Write a 1x1 convolution as a matrix product of tokens."""
    from onnx import helper

    return helper.make_node("Gemm", [data, *conv.input[1:]], [conv.name], name=conv.name)


def _to_matrix(weight: TensorProto) -> TensorProto:
    """Turn a 1x1 convolution's (out, in, 1, 1) into a product's (in, out)."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(weight)[:, :, 0, 0].T
    return numpy_helper.from_array(np.ascontiguousarray(values), weight.name)


def _leave_width_open(shape: TensorProto) -> TensorProto:
    """Let the last side of a shape be what is left over: the width there was C, and is 4C."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(shape)
    return numpy_helper.from_array(np.append(values[:-1], np.int64(-1)), shape.name)


def _infer(model: ModelProto) -> ModelProto:
    from onnx import checker, shape_inference

    made = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    checker.check_model(made, full_check=True)
    return made
