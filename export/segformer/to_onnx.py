"""Writes the deployed network as an ONNX graph: static shapes, batch 1, a name for every node.

Each network module has one function here, in the order of the forward pass. The graph is written
and not traced: an exporter would choose names, nodes and layouts, and recipes need known names.

Two layouts alternate, both of batch 1:

    tokens   (H*W, C)        LayerNorm, and linear layers as one Gemm with its bias
    image    (1, C, H, W)    convolutions, and the whole Mix-FFN: its two linear layers are 1x1
                             convolutions there, so the change of layout happens at width C and
                             not, around the depth-wise convolution, at 4C
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
from torch import nn

from edgeseg.export.graph import OPSET, GraphWriter
from edgeseg.export.layers import (
    Size,
    conv,
    gelu,
    layer_norm,
    linear,
    linear_as_conv,
    reshape,
    slice_columns,
    split_heads,
    to_array,
    to_image,
    to_tokens,
)
from edgeseg.export.segformer.merging import write_average, write_spread
from edgeseg.export.segformer.network import Block, MixFfn, OverlapPatchEmbed, Stage
from edgeseg.export.segformer.rewrites import DeployedSegFormer, MergedAttention, SummedHead
from edgeseg.segformer.arch import Role
from edgeseg.segformer.form import HeadForm, halve

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["INPUT_NAME", "OUTPUT_NAME", "to_onnx"]

INPUT_NAME = "image"
OUTPUT_NAME = "logits"


def to_onnx(model: DeployedSegFormer, *, height: int, width: int, opset: int = OPSET) -> ModelProto:
    """Write the graph for one input size, in pixels.

    Input `image` is uint8 (1, H, W, C), BGR if C is three; output `logits` is (1, classes, h, w) in
    the model's own dtype, of the first stage's size (ceil(H/4), ceil(W/4) as published).
    """
    graph = GraphWriter(opset)
    sizes = model.spec.encoder.compute_sizes(height, width)
    mean = to_array(model.mean)
    dtype = mean.dtype
    x = _center(graph, mean)
    features = []
    for index, (stage, size) in enumerate(zip(_list_stages(model), sizes, strict=True)):
        name = f"stage{index + 1}"
        tokens = _stage(graph, stage, x, size, name=name)
        x = to_image(graph, tokens, size, stage.norm.normalized_shape[0], name=f"{name}.feature")
        features.append(x)
        if index == 0 and model.head.upsampling is HeadForm.STRIDE_8:
            features = [_average(graph, tokens, size, stage.norm.normalized_shape[0])]
    _head(graph, model.head, features, sizes)
    return graph.model(
        name=f"segformer_{model.spec.name}_{height}x{width}",
        inputs=(INPUT_NAME, np.dtype(np.uint8), (1, height, width, len(mean))),
        outputs=(OUTPUT_NAME, dtype, (1, model.spec.classes, *sizes[0])),
    )


def _center(graph: GraphWriter, mean: npt.NDArray[np.generic]) -> str:
    """Turn uint8 (1, H, W, C) into mean-free (1, C, H, W); TensorRT allows only Cast on uint8."""
    name = "preprocess"
    dtype = _to_onnx_dtype(mean)
    x = graph.node("Cast", [INPUT_NAME], name=f"{name}.cast", to=dtype)
    x = graph.node("Transpose", [x], name=f"{name}.to_image", perm=[0, 3, 1, 2])
    offset = graph.weight(f"{name}.mean", mean.reshape(1, -1, 1, 1))
    return graph.node("Sub", [x, offset], name=f"{name}.center")


def _stage(graph: GraphWriter, stage: Stage, x: str, size: Size, *, name: str) -> str:
    """Write a stage: from an image to tokens of a grid of `size`."""
    tokens = _patch_embed(graph, stage.patch_embed, x, size, name=name)
    for index, block in enumerate(cast("list[Block]", list(stage.blocks))):
        tokens = _block(graph, block, tokens, size, name=f"{name}.block{index}")
    return layer_norm(graph, stage.norm, tokens, name=f"{name}.norm")


def _average(graph: GraphWriter, tokens: str, size: Size, width: int) -> str:
    """Write the first stage's features averaged 2x2: from tokens to an image."""
    x = write_average(graph, tokens, size, width, name="head.stage1.average")
    return to_image(graph, x, halve(size), width, name="head.stage1.feature")


def _patch_embed(
    graph: GraphWriter, embed: OverlapPatchEmbed, x: str, size: Size, *, name: str
) -> str:
    """Write the patch embedding: from an image to tokens."""
    x = conv(graph, embed.proj, x, name=f"{name}.{Role.PATCH_EMBED.value}")
    tokens = to_tokens(graph, x, size, embed.proj.out_channels, name=f"{name}.tokens")
    return layer_norm(graph, embed.norm, tokens, name=f"{name}.embed_norm")


def _block(graph: GraphWriter, block: Block, tokens: str, size: Size, *, name: str) -> str:
    """Write a block: from tokens to tokens."""
    x = layer_norm(graph, block.norm1, tokens, name=f"{name}.norm1")
    attention = cast("MergedAttention", block.attention)
    x = _attention(graph, attention, x, size, name=name)
    tokens = graph.node("Add", [tokens, x], name=f"{name}.attn_residual")
    x = layer_norm(graph, block.norm2, tokens, name=f"{name}.norm2")
    x = _mix_ffn(graph, block.ffn, x, size, name=name)
    return graph.node("Add", [tokens, x], name=f"{name}.ffn_residual")


def _attention(
    graph: GraphWriter, attention: MergedAttention, tokens: str, size: Size, *, name: str
) -> str:
    """Write attention; the heads are the batch of its two products, (heads, L, d)."""
    width, heads = attention.q.in_features, attention.heads
    reduced = _reduce(graph, attention, tokens, size, name=name)
    asking, asked = tokens, size
    if attention.average_queries:
        asking = write_average(graph, tokens, size, width, name=f"{name}.q_average")
        asked = halve(size)
    q = linear(graph, attention.q, asking, name=f"{name}.{Role.Q.value}")
    kv = linear(graph, attention.kv, reduced, name=f"{name}.{Role.KV.value}")
    q = split_heads(graph, q, heads, width // heads, perm=[1, 0, 2], name=f"{name}.q_heads")
    k = slice_columns(graph, kv, 0, width, name=f"{name}.k")
    v = slice_columns(graph, kv, width, 2 * width, name=f"{name}.v")
    k = split_heads(graph, k, heads, width // heads, perm=[1, 2, 0], name=f"{name}.k_heads")
    v = split_heads(graph, v, heads, width // heads, perm=[1, 0, 2], name=f"{name}.v_heads")
    scores = graph.node("MatMul", [q, k], name=f"{name}.{Role.SCORES.value}")
    shares = graph.node("Softmax", [scores], name=f"{name}.softmax", axis=-1)
    mixed = graph.node("MatMul", [shares, v], name=f"{name}.{Role.VALUES.value}")
    mixed = graph.node("Transpose", [mixed], name=f"{name}.merge_heads", perm=[1, 0, 2])
    mixed = reshape(graph, mixed, (asked[0] * asked[1], width), name=f"{name}.merged")
    answer = linear(graph, attention.out, mixed, name=f"{name}.{Role.ATTN_OUT.value}")
    if attention.average_queries:
        answer = write_spread(graph, answer, size, width, name=f"{name}.attn_spread")
    return answer


def _reduce(
    graph: GraphWriter, attention: MergedAttention, tokens: str, size: Size, *, name: str
) -> str:
    """Write what keys and values are computed from."""
    width, ratio = attention.q.in_features, attention.reduction
    x, reduced = tokens, (size[0] // ratio, size[1] // ratio)
    if ratio > 1:
        x = to_image(graph, tokens, size, width, name=f"{name}.sr_image")
        x = conv(graph, attention.sr, x, name=f"{name}.{Role.SR_CONV.value}")
        x = to_tokens(graph, x, reduced, width, name=f"{name}.sr_tokens")
        x = layer_norm(graph, attention.norm, x, name=f"{name}.sr_norm")
    if attention.average_keys:
        x = write_average(graph, x, reduced, width, name=f"{name}.kv_average")
    return x


def _mix_ffn(graph: GraphWriter, ffn: MixFfn, tokens: str, size: Size, *, name: str) -> str:
    """Write the Mix-FFN: from tokens to tokens, through an image of more channels."""
    width = ffn.fc1.in_features
    x = to_image(graph, tokens, size, width, name=f"{name}.ffn_image")
    x = linear_as_conv(graph, ffn.fc1, x, name=f"{name}.{Role.FFN_IN.value}")
    x = conv(graph, ffn.dwconv, x, name=f"{name}.{Role.DWCONV.value}")
    x = gelu(graph, x, to_array(ffn.fc1.weight).dtype, name=f"{name}.gelu")
    x = linear_as_conv(graph, ffn.fc2, x, name=f"{name}.{Role.FFN_OUT.value}")
    return to_tokens(graph, x, size, width, name=f"{name}.ffn_tokens")


def _head(
    graph: GraphWriter, head: SummedHead, features: list[str], sizes: tuple[Size, ...]
) -> str:
    """Write the head: from four images to logits.

    The finest share is added last. An engine can then fuse the sum and the ReLU into its
    convolution, as ONNX Runtime's blocked convolution does.
    """
    shares = [
        _branch(graph, branch, x, name=f"head.stage{index + 1}")
        for index, (branch, x) in enumerate(zip(head.branches, features, strict=True))
    ]
    embed = head.classifier.in_channels
    write = _upsample_each if head.upsampling is HeadForm.DIRECT else _cascade
    at_second = head.upsampling is HeadForm.STRIDE_8
    coarse = write(graph, shares, (sizes[1], *sizes[1:]) if at_second else sizes, embed)
    # Of another size than the exact network's sum, so that a training does not compare the two.
    name = "head.stage2.whole" if at_second else "head.stage1.sum"
    total = graph.node("Add", [shares[0], coarse], name=name)
    total = graph.node("Relu", [total], name="head.relu")
    logits = conv(graph, head.classifier, total, name=f"head.{Role.CLASSIFIER.value}")
    if at_second:
        classes = head.classifier.out_channels
        logits = _upsample(graph, logits, sizes[0], classes, name="head.logits")
    return graph.node("Identity", [logits], name=OUTPUT_NAME)


def _upsample_each(
    graph: GraphWriter, shares: list[str], sizes: tuple[Size, ...], embed: int
) -> str:
    """Write the sum of all shares but the finest; each goes to the finest size at once."""
    total = ""
    for index in (3, 2, 1):
        name = f"head.stage{index + 1}"
        share = _upsample(graph, shares[index], sizes[0], embed, name=name)
        total = graph.node("Add", [total, share], name=f"{name}.sum") if total else share
    return total


def _cascade(graph: GraphWriter, shares: list[str], sizes: tuple[Size, ...], embed: int) -> str:
    """Write the sum of all shares but the finest; the sum goes from stage to stage.

    A finest size that is the second stage's needs no last step.
    """
    total = _upsample(graph, shares[3], sizes[2], embed, name="head.stage4")
    for index in (2, 1):
        name = f"head.stage{index + 1}"
        total = graph.node("Add", [shares[index], total], name=f"{name}.sum")
        if sizes[index - 1] != sizes[index]:
            total = _upsample(graph, total, sizes[index - 1], embed, name=name)
    return total


def _upsample(graph: GraphWriter, x: str, size: Size, embed: int, *, name: str) -> str:
    target = graph.weight(f"{name}.size", np.array([1, embed, *size], np.int64))
    return graph.node(
        "Resize",
        [x, "", "", target],
        name=f"{name}.upsample",
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def _branch(graph: GraphWriter, branch: nn.Module, x: str, *, name: str) -> str:
    if isinstance(branch, nn.Conv2d):
        return conv(graph, branch, x, name=f"{name}.{Role.HEAD_PROJ.value}")
    first, _relu, second = cast("tuple[nn.Conv2d, nn.ReLU, nn.Conv2d]", tuple(branch.children()))
    x = conv(graph, first, x, name=f"{name}.inner.{Role.HEAD_PROJ.value}")
    x = graph.node("Relu", [x], name=f"{name}.relu")
    return conv(graph, second, x, name=f"{name}.{Role.HEAD_PROJ.value}")


def _list_stages(model: DeployedSegFormer) -> list[Stage]:
    return cast("list[Stage]", list(model.stages))


def _to_onnx_dtype(array: npt.NDArray[np.generic]) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(array.dtype))
