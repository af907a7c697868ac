"""Writes single layers and changes of layout as ONNX nodes; `name` is their last node's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from edgeseg.export.graph import GELU_OPSET, GraphWriter

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "Size",
    "conv",
    "gelu",
    "layer_norm",
    "linear",
    "linear_as_conv",
    "reshape",
    "slice_columns",
    "split_heads",
    "to_array",
    "to_image",
    "to_tokens",
]

Size = tuple[int, int]  # height, width


def conv(graph: GraphWriter, conv: nn.Conv2d, x: str, *, name: str) -> str:
    """Write a convolution of an image, with its bias where it has one."""
    inputs = [x, graph.weight(f"{name}.weight", to_array(conv.weight))]
    if conv.bias is not None:
        inputs.append(graph.weight(f"{name}.bias", to_array(conv.bias)))
    padding = [int(side) for side in conv.padding]
    return graph.node(
        "Conv",
        inputs,
        name=name,
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=padding + padding,
        group=conv.groups,
    )


def linear_as_conv(graph: GraphWriter, linear: nn.Linear, x: str, *, name: str) -> str:
    """Write a linear layer on the channels of an image, as a 1x1 convolution."""
    weight = graph.weight(f"{name}.weight", to_array(linear.weight)[:, :, None, None])
    bias = graph.weight(f"{name}.bias", to_array(linear.bias))
    return graph.node("Conv", [x, weight, bias], name=name, kernel_shape=[1, 1])


def linear(graph: GraphWriter, linear: nn.Linear, tokens: str, *, name: str) -> str:
    """Write a linear layer on tokens: one Gemm."""
    weight = graph.weight(f"{name}.weight", to_array(linear.weight).T)
    bias = graph.weight(f"{name}.bias", to_array(linear.bias))
    return graph.node("Gemm", [tokens, weight, bias], name=name)


def layer_norm(graph: GraphWriter, norm: nn.LayerNorm, x: str, *, name: str) -> str:
    """Write LayerNorm over the last axis: one node."""
    gain = graph.weight(f"{name}.weight", to_array(norm.weight))
    shift = graph.weight(f"{name}.bias", to_array(norm.bias))
    return graph.node("LayerNormalization", [x, gain, shift], name=name, axis=-1, epsilon=norm.eps)


def gelu(graph: GraphWriter, x: str, dtype: np.dtype[np.generic], *, name: str) -> str:
    """Write x * (1 + erf(x / sqrt(2))) / 2: one node where the opset has Gelu, else five."""
    if graph.opset >= GELU_OPSET:
        return graph.node("Gelu", [x], name=name)
    root, one, half = (
        graph.weight(f"{name}.{key}", np.array(value, dtype))
        for key, value in (("root", 2**0.5), ("one", 1.0), ("half", 0.5))
    )
    e = graph.node("Div", [x, root], name=f"{name}.scaled")
    e = graph.node("Erf", [e], name=f"{name}.erf")
    e = graph.node("Add", [e, one], name=f"{name}.shifted")
    e = graph.node("Mul", [x, e], name=f"{name}.product")
    return graph.node("Mul", [e, half], name=name)


def to_tokens(graph: GraphWriter, image: str, size: Size, width: int, *, name: str) -> str:
    """Turn (1, C, H, W) into (H*W, C)."""
    x = graph.node("Transpose", [image], name=f"{name}.channels_last", perm=[0, 2, 3, 1])
    return reshape(graph, x, (size[0] * size[1], width), name=name)


def to_image(graph: GraphWriter, tokens: str, size: Size, width: int, *, name: str) -> str:
    """Turn (H*W, C) into (1, C, H, W)."""
    x = reshape(graph, tokens, (1, *size, width), name=f"{name}.grid")
    return graph.node("Transpose", [x], name=name, perm=[0, 3, 1, 2])


def split_heads(
    graph: GraphWriter, tokens: str, heads: int, width: int, *, perm: list[int], name: str
) -> str:
    """Reshape (L, heads*d) to (L, heads, d), then permute it by `perm`."""
    x = reshape(graph, tokens, (-1, heads, width), name=f"{name}.split")
    return graph.node("Transpose", [x], name=name, perm=perm)


def slice_columns(graph: GraphWriter, x: str, start: int, end: int, *, name: str) -> str:
    """Take the columns from `start` up to `end`, which is not included, of a matrix."""
    bounds = [
        graph.weight(f"{name}.{key}", np.array([value], np.int64))
        for key, value in (("start", start), ("end", end), ("axis", 1))
    ]
    return graph.node("Slice", [x, *bounds], name=name)


def reshape(graph: GraphWriter, x: str, shape: tuple[int, ...], *, name: str) -> str:
    """Give the same values another shape."""
    return graph.node(
        "Reshape", [x, graph.weight(f"{name}.shape", np.array(shape, np.int64))], name=name
    )


def to_array(tensor: Tensor) -> npt.NDArray[np.generic]:
    """Give a tensor's values as an array, without a copy."""
    return cast("npt.NDArray[np.generic]", tensor.detach().numpy())
