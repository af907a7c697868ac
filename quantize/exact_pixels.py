"""Rewrites the first convolution so that its INT8 input is the pixels themselves, without a loss.

The float graph subtracts the mean color from the pixels. An INT8 quantizer then rounds them to
steps of more than 1, because the means of the channels differ. Here one whole number is subtracted
from all channels instead, so that steps of 1 hold all 256 levels, and the convolution's bias takes
up the difference. A convolution pads with zeros, which stood for the mean color. So the graph pads
before that, with the mean color in whole levels, and the convolution pads no more.

In float the new graph computes what the old one does, but for the fractions of the mean color at
the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgeseg.calibration.ranges import Range
from edgeseg.quantize.recipes import Recipe
from edgeseg.segformer.arch import Role
from edgeseg.segformer.groups import find_group

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["CENTERED", "PIXEL_RANGE", "can_be_exact", "center_pixels_exactly"]

# The value that the first convolution sees, and the range that its quantizer must cover.
CENTERED: Final = "preprocess.center"
PIXEL_RANGE: Final = Range(-128.0, 127.0)

_LEVEL: Final = 128
_FIRST: Final = f"stage1.{Role.PATCH_EMBED.value}"
_CAST: Final = "preprocess.cast"


def can_be_exact(model: ModelProto, recipe: Recipe) -> bool:
    """Tell whether the convolution that sees the pixels is INT8, and a pixel can be its mean color.

    A mean color outside 0..255, which a checkpoint may have, cannot pad an image.
    """
    if find_group(_FIRST) not in recipe.int8:
        return False
    border = np.rint(_First.read(model).mean)
    return bool((border >= 0).all() and (border <= 255).all())


def center_pixels_exactly(model: ModelProto, *, joins_pixels: bool) -> ModelProto:
    """Write a copy of a float32 graph, as `edgeseg.export` writes it, with exact pixels.

    The value `CENTERED` is whole, from -128 to 127. With `joins_pixels` the border is joined to the
    uint8 image, which costs least. TensorRT only casts uint8: there the float image is padded.
    """
    from onnx import ModelProto, numpy_helper, shape_inference

    copy = ModelProto()
    copy.CopyFrom(model)
    first = _First.read(copy)
    border = np.rint(first.mean)
    weights = {weight.name: weight for weight in copy.graph.initializer}
    # Summed over the kernel, of (out, in, height, width): each tap sees this much more or less.
    more = (first.kernel.sum((2, 3), dtype=np.float64) * (_LEVEL - first.mean)).sum(1)
    bias = (first.bias + more).astype(np.float32)
    weights[first.node.input[2]].CopyFrom(numpy_helper.from_array(bias, first.node.input[2]))
    pads = next(one for one in first.node.attribute if one.name == "pads")
    around = _trim(list(pads.ints), first, copy)
    pads.ints[:] = [0] * len(pads.ints)
    if joins_pixels:
        _join_border(copy, border.astype(np.uint8), around)
        _subtract(copy, np.full((1, 1, 1, 1), _LEVEL, np.float32))
    else:
        _pad_values(copy, border, around)
    del copy.graph.value_info[:]
    made: ModelProto = shape_inference.infer_shapes(copy, check_type=True, strict_mode=True)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class _First:
    """The first convolution: its node, its constants, and the mean color that it is used to."""

    node: NodeProto
    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float64]

    @classmethod
    def read(cls, model: ModelProto) -> _First:
        from onnx import numpy_helper

        constants = {one.name: one for one in model.graph.initializer}
        node = next(node for node in model.graph.node if node.name == _FIRST)
        center = next(node for node in model.graph.node if node.name == CENTERED)
        names = (*node.input[1:3], center.input[1])
        kernel, bias, mean = (numpy_helper.to_array(constants[name]) for name in names)
        return cls(node=node, kernel=kernel, bias=bias, mean=mean.astype(np.float64).ravel())


def _trim(pads: list[int], first: _First, model: ModelProto) -> list[int]:
    """List how much of the padding the convolution reads: top, left, bottom and right."""
    _, height, width, _ = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)
    strides = next(list(one.ints) for one in first.node.attribute if one.name == "strides")
    read = list(pads)
    for axis, (length, stride) in enumerate(zip((height, width), strides, strict=True)):
        kernel = first.kernel.shape[2 + axis]
        whole = length + pads[axis] + pads[2 + axis]
        end = (whole - kernel) // stride * stride + kernel
        read[2 + axis] = max(0, end - pads[axis] - length)
    return read


def _subtract(model: ModelProto, level: npt.NDArray[np.float32]) -> None:
    """Let the node that centers the pixels subtract another value."""
    from onnx import numpy_helper

    center = next(node for node in model.graph.node if node.name == CENTERED)
    mean = next(one for one in model.graph.initializer if one.name == center.input[1])
    mean.CopyFrom(numpy_helper.from_array(level, mean.name))


def _join_border(model: ModelProto, color: npt.NDArray[np.uint8], around: list[int]) -> None:
    """Join a border of a color, in the image's order of channels, to the uint8 image."""
    from onnx import helper, numpy_helper

    graph = model.graph
    cast = next(place for place, node in enumerate(graph.node) if node.name == _CAST)
    image = graph.node[cast].input[0]
    _, height, width, channels = (d.dim_value for d in graph.input[0].type.tensor_type.shape.dim)
    top, left, bottom, right = around
    across = left + width + right
    sides = (
        ("columns", 2, (height, left), (height, right)),
        ("rows", 1, (top, across), (bottom, across)),
    )
    for place, (name, axis, before, after) in enumerate(sides):
        joined = f"preprocess.{name}"
        inputs = [image]
        for end, size in (("before", before), ("after", after)):
            if 0 not in size:
                part = f"{joined}.{end}"
                strip = np.broadcast_to(color, (1, *size, channels)).copy()
                graph.initializer.append(numpy_helper.from_array(strip, part))
                inputs.insert(0 if end == "before" else len(inputs), part)
        graph.node.insert(
            cast + place, helper.make_node("Concat", inputs, [joined], name=joined, axis=axis)
        )
        image = joined
    next(node for node in graph.node if node.name == _CAST).input[0] = image


def _pad_values(model: ModelProto, color: npt.NDArray[np.float64], around: list[int]) -> None:
    """Pad the float image, (N, C, H, W), with a color, and center it."""
    from onnx import helper, numpy_helper

    graph = model.graph
    place = next(place for place, node in enumerate(graph.node) if node.name == CENTERED)
    center = graph.node[place]
    top, left, bottom, right = around
    constants: dict[str, npt.NDArray[np.generic]] = {
        "preprocess.color": color.astype(np.float32).reshape(1, -1, 1, 1),
        "preprocess.around": np.array([0, 0, top, left, 0, 0, bottom, right], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    less, padded = "preprocess.less_color", "preprocess.border"
    added = (
        helper.make_node("Sub", [center.input[0], "preprocess.color"], [less], name=less),
        helper.make_node("Pad", [less, "preprocess.around"], [padded], name=padded),
    )
    for offset, node in enumerate(added):
        graph.node.insert(place + offset, node)
    center.input[0] = padded
    _subtract(model, (_LEVEL - color).astype(np.float32).reshape(1, -1, 1, 1))
