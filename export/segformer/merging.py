"""Averages tokens over 2x2 neighbors and spreads them again: in PyTorch, and as ONNX nodes.

Tokens lie on a grid of H x W. Where a side is odd, its last row or column has no neighbor and is
averaged with itself, so that every average is of what is there:

    H x W    ── average ──>    ceil(H/2) x ceil(W/2)    ── spread ──>    H x W
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch.nn import functional

from edgeseg.export.graph import GraphWriter
from edgeseg.export.layers import Size, reshape
from edgeseg.export.segformer.network import to_image, to_tokens
from edgeseg.segformer.form import halve

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["average_tokens", "spread_tokens", "write_average", "write_spread"]

# Before this opset the axes of ReduceMean are an attribute.
_AXES_OPSET = 18


def average_tokens(tokens: Tensor, size: Size) -> Tensor:
    """Average (N, H*W, C) to (N, ceil(H/2)*ceil(W/2), C)."""
    missing = (0, size[1] % 2, 0, size[0] % 2)
    grid = functional.pad(to_image(tokens, size), missing, mode="replicate")
    return to_tokens(functional.avg_pool2d(grid, 2))


def spread_tokens(tokens: Tensor, size: Size) -> Tensor:
    """Spread (N, ceil(H/2)*ceil(W/2), C) to (N, H*W, C), each token over its four places."""
    grid = to_image(tokens, halve(size))
    whole = functional.interpolate(grid, scale_factor=2, mode="nearest")
    return to_tokens(whole[:, :, : size[0], : size[1]])


def write_average(graph: GraphWriter, tokens: str, size: Size, width: int, *, name: str) -> str:
    """Write the average of (H*W, C), to (ceil(H/2)*ceil(W/2), C)."""
    rows, columns = halve(size)
    x = _complete(graph, tokens, size, width, name=name)
    x = reshape(graph, x, (rows, 2, columns, 2, width), name=f"{name}.fours")
    if graph.opset < _AXES_OPSET:
        x = graph.node("ReduceMean", [x], name=f"{name}.mean", axes=[1, 3], keepdims=0)
    else:
        axes = graph.weight(f"{name}.axes", np.array([1, 3], np.int64))
        x = graph.node("ReduceMean", [x, axes], name=f"{name}.mean", keepdims=0)
    return reshape(graph, x, (rows * columns, width), name=name)


def write_spread(graph: GraphWriter, tokens: str, size: Size, width: int, *, name: str) -> str:
    """Write the spreading of (ceil(H/2)*ceil(W/2), C), to (H*W, C)."""
    rows, columns = halve(size)
    x = reshape(graph, tokens, (rows, 1, columns, 1, width), name=f"{name}.ones")
    fours = graph.weight(f"{name}.size", np.array([rows, 2, columns, 2, width], np.int64))
    x = graph.node("Expand", [x, fours], name=f"{name}.fours")
    if size != (2 * rows, 2 * columns):
        x = reshape(graph, x, (2 * rows, 2 * columns, width), name=f"{name}.grid")
        x = _cut(graph, x, (0, 0), size, name=f"{name}.cut")
    return reshape(graph, x, (size[0] * size[1], width), name=name)


def _complete(graph: GraphWriter, tokens: str, size: Size, width: int, *, name: str) -> str:
    """Write the last row and column of an odd grid a second time; an even grid stays as it is."""
    height, columns = size
    if height % 2 == 0 and columns % 2 == 0:
        return tokens
    x = reshape(graph, tokens, (height, columns, width), name=f"{name}.grid")
    if columns % 2:
        last = _cut(graph, x, (0, columns - 1), size, name=f"{name}.last_column")
        x = graph.node("Concat", [x, last], name=f"{name}.even_columns", axis=1)
        columns += 1
    if height % 2:
        last = _cut(graph, x, (height - 1, 0), (height, columns), name=f"{name}.last_row")
        x = graph.node("Concat", [x, last], name=f"{name}.even_rows", axis=0)
    return x


def _cut(graph: GraphWriter, grid: str, start: Size, end: Size, *, name: str) -> str:
    """Write the part of (H, W, C) from `start` up to `end`, which is not included."""
    bounds = [
        graph.weight(f"{name}.{key}", np.array(values, np.int64))
        for key, values in (("start", start), ("end", end), ("axes", (0, 1)))
    ]
    return graph.node("Slice", [grid, *bounds], name=name)
