"""The operators of SegFormer's ONNX graphs, read from nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy.typing as npt

from edgeseg.errors import ExportError
from edgeseg.recovery import operators

if TYPE_CHECKING:
    from onnx import NodeProto
    from torch import Tensor

__all__ = ["ONNX_OPERATORS", "READ", "AttributedNode"]

_Number: TypeAlias = npt.NDArray[Any]
_Make: TypeAlias = "Callable[[AttributedNode], operators.Operator]"


class AttributedNode:
    """A node's attributes by name, and its inputs that are numbers of the file."""

    def __init__(self, node: NodeProto, numbers: Mapping[str, _Number]) -> None:
        from onnx import helper

        self.inputs = list(node.input)
        self._attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        self._numbers = numbers

    def get(self, name: str, default: Any) -> Any:  # noqa: ANN401  # as ONNX has it
        """Get the value of an attribute, or the default where the node has no such one."""
        return self._attributes.get(name, default)

    def list_integers(self, place: int) -> list[int] | None:
        """The integers that an input holds; None where there is no such input."""
        if len(self.inputs) <= place or not self.inputs[place]:
            return None
        found: list[int] = self._numbers[self.inputs[place]].tolist()
        return found


def _make_conv(node: AttributedNode) -> operators.Operator:
    return operators.convolve(
        strides=node.get("strides", [1, 1]),
        pads=node.get("pads", [0, 0, 0, 0]),
        dilations=node.get("dilations", [1, 1]),
        groups=node.get("group", 1),
    )


def _make_gemm(node: AttributedNode) -> operators.Operator:
    return operators.multiply_matrices(
        transpose_a=bool(node.get("transA", 0)), transpose_b=bool(node.get("transB", 0))
    )


def _make_norm(node: AttributedNode) -> operators.Operator:
    return operators.normalize(axes=[node.get("axis", -1)], epsilon=node.get("epsilon", 1e-5))


def _make_attention(node: AttributedNode) -> operators.Operator:
    return operators.attend(heads=node.get("num_heads", 1), scale=node.get("scale", 1.0))


def _make_reshape(node: AttributedNode) -> operators.Operator:
    shape = node.list_integers(1) or []

    def compute(x: Tensor) -> Tensor:
        return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])

    return compute


def _make_expand(node: AttributedNode) -> operators.Operator:
    shape = node.list_integers(1) or []
    return lambda x: x.expand([-1 if size == 1 else size for size in shape])


def _make_mean(node: AttributedNode) -> operators.Operator:
    axes, keep = node.list_integers(1), bool(node.get("keepdims", 1))
    return lambda x: x.mean(axes, keepdim=keep)


def _make_slice(node: AttributedNode) -> operators.Operator:
    starts, ends = node.list_integers(1) or [], node.list_integers(2) or []
    axes = node.list_integers(3) or list(range(len(starts)))
    steps = node.list_integers(4) or [1] * len(starts)
    return operators.slice_along(starts=starts, ends=ends, steps=steps, axes=axes)


def _make_resize(node: AttributedNode) -> operators.Operator:
    way = node.get("coordinate_transformation_mode", b"half_pixel").decode()
    size = node.list_integers(3)
    if way not in {"half_pixel", "pytorch_half_pixel"} or size is None:
        raise ExportError(f"a Resize by {way} cannot be trained")
    return operators.resize(size[2:])


def _make_softmax(node: AttributedNode) -> operators.Operator:
    return lambda x: x.softmax(node.get("axis", -1))


def _make_transpose(node: AttributedNode) -> operators.Operator:
    return lambda x: x.permute(node.get("perm", None))


def _make_concat(node: AttributedNode) -> operators.Operator:
    return lambda *parts: operators.join(parts, node.get("axis", 0))


def _make_pad(node: AttributedNode) -> operators.Operator:
    pads = node.list_integers(1)
    if node.get("mode", b"constant") != b"constant" or len(node.inputs) > 2 or pads is None:
        raise ExportError("a Pad with anything but zeros cannot be trained")
    half = len(pads) // 2
    return operators.pad(before=pads[:half], after=pads[half:])


def _pass_on(_: AttributedNode) -> operators.Operator:
    return lambda x: x


ONNX_OPERATORS: Final[Mapping[str, _Make]] = {
    "Add": lambda _: lambda a, b: a + b,
    "Cast": _pass_on,
    "Concat": _make_concat,
    "Conv": _make_conv,
    "Div": lambda _: lambda a, b: a / b,
    "Erf": lambda _: lambda x: x.erf(),
    "Expand": _make_expand,
    "Gelu": lambda _: operators.gelu,
    "Gemm": _make_gemm,
    "Identity": _pass_on,
    "LayerNormalization": _make_norm,
    "MatMul": lambda _: operators.multiply_matrices(),
    "Mul": lambda _: lambda a, b: a * b,
    "MultiHeadAttention": _make_attention,
    "Pad": _make_pad,
    "ReduceMean": _make_mean,
    "Relu": lambda _: lambda x: x.relu(),
    "Reshape": _make_reshape,
    "Resize": _make_resize,
    "Slice": _make_slice,
    "Softmax": _make_softmax,
    "Sub": lambda _: lambda a, b: a - b,
    "Transpose": _make_transpose,
}
# How many inputs are values; the others are numbers that the operator was made with.
READ: Final[Mapping[str, int]] = {
    "Expand": 1,
    "Pad": 1,
    "ReduceMean": 1,
    "Reshape": 1,
    "Resize": 1,
    "Slice": 1,
}
