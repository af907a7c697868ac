"""The operators of SegFormer's OpenVINO graphs, read from nodes, and how shapes are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg.errors import ExportError
from edgeseg.recovery import operators

if TYPE_CHECKING:
    from openvino import Node

__all__ = ["FOLDED", "OPENVINO_OPERATORS", "READ"]

_Number: TypeAlias = npt.NDArray[Any]
_Fold: TypeAlias = Callable[["Node", Sequence[_Number]], Sequence[_Number]]
_Make: TypeAlias = Callable[["Node", Sequence["_Number | None"]], operators.Operator]


def _split(_: Node, given: Sequence[_Number]) -> Sequence[_Number]:
    number, axis, lengths = given
    return np.split(number, np.cumsum(lengths)[:-1], int(axis))


def _divide(_: Node, given: Sequence[_Number]) -> Sequence[_Number]:
    return [np.floor_divide(*given)]


# How shapes are computed.
FOLDED: Final[Mapping[str, _Fold]] = {
    "Broadcast": lambda _, given: [np.broadcast_to(given[0], given[1])],
    "Concat": lambda node, given: [np.concatenate(given, node.get_attributes()["axis"])],
    "Divide": _divide,
    "Range": lambda _, given: [np.arange(*(int(one) for one in given))],
    "ShapeOf": lambda _, given: list(given),
    "Subtract": lambda _, given: [given[0] - given[1]],
    "VariadicSplit": _split,
}


def _list(number: _Number | None) -> list[int]:
    assert number is not None, "shapes are constants"
    return [int(one) for one in number.ravel()]


def _make_convolution(node: Node, _: object) -> operators.Operator:
    is_grouped = node.get_type_name() == "GroupConvolution"
    given = node.get_attributes()
    groups = int(node.get_input_shape(1)[0]) if is_grouped else 1
    convolve = operators.convolve(
        strides=given["strides"],
        pads=[*given["pads_begin"], *given["pads_end"]],
        dilations=given["dilations"],
        groups=groups,
    )
    if not is_grouped:
        return convolve
    return lambda x, weight: convolve(x, weight.flatten(0, 1))


def _make_reshape(node: Node, _: object) -> operators.Operator:
    shape = list(node.get_output_shape(0))
    return lambda x: x.reshape(shape)


def _make_broadcast(node: Node, _: object) -> operators.Operator:
    shape = list(node.get_output_shape(0))
    return lambda x: x.expand(shape)


def _make_transpose(_: Node, numbers: Sequence[_Number | None]) -> operators.Operator:
    order = _list(numbers[1])
    return lambda x: x.permute(order)


def _make_mean(node: Node, numbers: Sequence[_Number | None]) -> operators.Operator:
    axes, keep = _list(numbers[1]), bool(node.get_attributes()["keep_dims"])
    return lambda x: x.mean(axes, keepdim=keep)


def _make_norm(node: Node, numbers: Sequence[_Number | None]) -> operators.Operator:
    return operators.normalize(axes=_list(numbers[1]), epsilon=node.get_attributes()["eps"])


def _make_slice(_: Node, numbers: Sequence[_Number | None]) -> operators.Operator:
    starts, ends, steps = (_list(one) for one in numbers[1:4])
    axes = _list(numbers[4]) if len(numbers) > 4 else list(range(len(starts)))
    return operators.slice_along(starts=starts, ends=ends, steps=steps, axes=axes)


def _make_resize(node: Node, _: object) -> operators.Operator:
    given = node.get_attributes()
    way = given["mode"], given["coordinate_transformation_mode"]
    if way not in {("linear_onnx", "half_pixel"), ("linear", "half_pixel")}:
        raise ExportError(f"an Interpolate by {' '.join(way)} cannot be trained")
    return operators.resize(list(node.get_output_shape(0))[2:])


def _make_product(node: Node, _: object) -> operators.Operator:
    given = node.get_attributes()
    return operators.multiply_matrices(
        transpose_a=given["transpose_a"], transpose_b=given["transpose_b"]
    )


def _make_softmax(node: Node, _: object) -> operators.Operator:
    axis = node.get_attributes()["axis"]
    return lambda x: x.softmax(axis)


def _make_gelu(node: Node, _: object) -> operators.Operator:
    if node.get_attributes()["approximation_mode"] != "ERF":
        raise ExportError("a Gelu by an approximation cannot be trained")
    return operators.gelu


def _make_concat(node: Node, _: object) -> operators.Operator:
    axis = node.get_attributes()["axis"]
    return lambda *parts: operators.join(parts, axis)


def _pass_on(*_: object) -> operators.Operator:
    return lambda x: x


def _make_attention(_: Node, numbers: Sequence[_Number | None]) -> operators.Operator:
    """Make an attention whose mask, if there is one, is a number that is added to every score."""
    mask, scale = [*numbers[3:], None, None][:2]
    if mask is not None and np.size(mask) != 1:
        raise ExportError("an attention with a mask cannot be trained")
    return operators.attend_by_heads(scale=None if scale is None else float(scale))


OPENVINO_OPERATORS: Final[Mapping[str, _Make]] = {
    "Add": lambda *_: lambda a, b: a + b,
    "Broadcast": _make_broadcast,
    "Concat": _make_concat,
    "Convert": _pass_on,
    "Convolution": _make_convolution,
    "Gelu": _make_gelu,
    "GroupConvolution": _make_convolution,
    "Identity": _pass_on,
    "Interpolate": _make_resize,
    "MVN": _make_norm,
    "MatMul": _make_product,
    "Multiply": lambda *_: lambda a, b: a * b,
    "ReduceMean": _make_mean,
    "Relu": lambda *_: lambda x: x.relu(),
    "Reshape": _make_reshape,
    "ScaledDotProductAttention": _make_attention,
    "Slice": _make_slice,
    "Softmax": _make_softmax,
    "Subtract": lambda *_: lambda a, b: a - b,
    "Transpose": _make_transpose,
}
# How many inputs are values; the others are numbers that the operator was made with.
READ: Final[Mapping[str, int]] = {
    **dict.fromkeys(("Broadcast", "Interpolate", "MVN", "ReduceMean", "Reshape", "Slice"), 1),
    "ScaledDotProductAttention": 3,
    "Transpose": 1,
}
