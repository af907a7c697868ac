"""The strongly typed graph for TensorRT: FP16, with Q/DQ around what a recipe names.

TensorRT 11 has no builder flags for precision and no calibrators: it computes in the types that the
graph says. TensorRT 10.3 reads the same graph. So the types are written out here:

    float values   FP16; FP32 where a value seen on real images comes near FP16's end
    LayerNorm      FP32 between Casts: its sum of squares is what overflows first
    preprocessing  FP32, from the uint8 image on
    activations    int8, symmetric, one scale a tensor, at the inputs of what the recipe names
    weights        int8 behind DequantizeLinear, one scale an output channel; biases float

Nothing is quantized at an output: TensorRT then fuses attention and gives INT8 products in FP16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgeseg.quantize.exact_pixels import (
    CENTERED,
    PIXEL_RANGE,
    can_be_exact,
    center_pixels_exactly,
)
from edgeseg.quantize.recipes import Recipe
from edgeseg.segformer.groups import find_group
from edgeseg.spec import Upsampling

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = [
    "CLASS_MAP",
    "HALF_LIMIT",
    "LOGITS",
    "Scales",
    "find_hot_tensors",
    "to_typed",
    "with_class_map",
]

LOGITS: Final = "logits"
CLASS_MAP: Final = "class_map"

# A value above a quarter of FP16's largest on calibration images may exceed FP16 on others.
HALF_LIMIT: Final = 65504 / 4
# Scales below this have too few bits left in FP16 (it is subnormal there, in steps of 2**-24).
SMALLEST_SCALE: Final = 2.0**-20
LEVELS: Final = 127

# Operators whose weight is their second input, and the axis of its output channels.
_WEIGHTED: Final = {"Conv": 0, "Gemm": 1}
_PREPROCESS: Final = "preprocess."
# ONNX's names for the two ways from logits to the input's size.
_COORDINATES: Final = {
    Upsampling.HALF_PIXEL: "half_pixel",
    Upsampling.ALIGN_CORNERS: "align_corners",
}


class Scales(Enum):
    """In which type Q/DQ scales are written.

    TYPED is the type of the values around them. CASTS writes FP32 scales between Casts, for boards
    whose builder refuses the first form (NVIDIA/TensorRT issue 4832 on Orin).
    """

    TYPED = "typed"
    CASTS = "casts"


def find_hot_tensors(peaks: Mapping[str, float]) -> frozenset[str]:
    """Find the values that may not be FP16; `peaks` is the largest magnitude of each."""
    return frozenset(name for name, peak in peaks.items() if not peak <= HALF_LIMIT)


def to_typed(
    model: ModelProto,
    recipe: Recipe,
    *,
    largest: Mapping[str, float],
    hot: frozenset[str] = frozenset(),
    scales: Scales = Scales.TYPED,
) -> ModelProto:
    """Write a typed copy of a float32 graph as `edgeseg.export` writes it.

    `largest` is the magnitude that int8 is to cover, for each activation that the recipe quantizes;
    `hot` names the values to hold in FP32. Input uint8 (1, H, W, C), output float32 logits. The
    graph may be in any form of `quantize/targets/tensorrt/forms.py`.

    Raises:
        KeyError: no magnitude is known of an activation.
    """
    if can_be_exact(model, recipe):
        model = center_pixels_exactly(model, joins_pixels=False)
        largest = {**largest, CENTERED: PIXEL_RANGE.high}
    typer = _Typer(model, recipe, largest, hot, scales)
    for node in model.graph.node:
        typer.add(node)
    return typer.model()


def with_class_map(model: ModelProto, upsampling: Upsampling = Upsampling.HALF_PIXEL) -> ModelProto:
    """Write a typed copy that ends in class ids at the input's size, not in logits.

    Bilinear upsampling and argmax in the graph; (N, H, W) uint8, or int32 above 256 classes.
    """
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    (logits,) = graph.output
    batch, classes, *_ = (d.dim_value for d in logits.type.tensor_type.shape.dim)
    _, height, width, _ = (d.dim_value for d in graph.input[0].type.tensor_type.shape.dim)
    last = graph.node[-1]
    half = last.input[0]
    del graph.node[-1]
    size = numpy_helper.from_array(np.array([batch, classes, height, width], np.int64), "map.size")
    graph.initializer.append(size)
    graph.node.extend(
        [
            helper.make_node(
                "Resize",
                [half, "", "", "map.size"],
                ["map.upsample"],
                name="map.upsample",
                mode="linear",
                coordinate_transformation_mode=_COORDINATES[upsampling],
            ),
            helper.make_node(
                "ArgMax", ["map.upsample"], ["map.argmax"], name="map.argmax", axis=1, keepdims=0
            ),
        ]
    )
    if classes <= 256:
        # TensorRT has no Cast from int64 to uint8; through float every id is exact.
        ids = TensorProto.UINT8
        graph.node.append(_cast("map.argmax", "map.float", TensorProto.FLOAT))
        graph.node.append(_cast("map.float", CLASS_MAP, ids))
    else:
        ids = TensorProto.INT32
        graph.node.append(_cast("map.argmax", CLASS_MAP, ids))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(CLASS_MAP, ids, [batch, height, width]))
    return _check(copy)


@dataclass
class _Typer:
    """Writes typed nodes in the order of the float ones."""

    source: ModelProto
    recipe: Recipe
    largest: Mapping[str, float]
    hot: frozenset[str]
    scales: Scales
    nodes: list[NodeProto] = field(default_factory=list)
    weights: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    # The type in which each float value is held, by its name in the float graph.
    held: dict[str, int] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        from onnx import TensorProto, numpy_helper

        self.half, self.single = int(TensorProto.FLOAT16), int(TensorProto.FLOAT)
        self.constants = {w.name: numpy_helper.to_array(w) for w in self.source.graph.initializer}

    def add(self, node: NodeProto) -> None:
        """Write one node of the float graph, with the Casts and Q/DQ that it needs."""
        from onnx import NodeProto

        (output,) = node.output
        if node.op_type == "Identity" and output == LOGITS:
            self.nodes.append(_cast(self._cast_to(node.input[0], self.half), LOGITS, self.single))
            return
        copy = NodeProto()
        copy.CopyFrom(node)
        kind = self._find_computed_type(node)
        group = find_group(node.name)
        quantized = group is not None and group in self.recipe.int8 and node.op_type in _WEIGHTED
        for index, name in enumerate(node.input):
            if quantized and index == 0:
                copy.input[index] = self._quantize_activation(name, kind)
            elif quantized and index == 1:
                copy.input[index] = self._quantize_weight(name, node, kind)
            elif name:
                copy.input[index] = self._cast_to(name, kind)
        hold = self._find_held_type(output, node)
        if kind == hold:
            self.nodes.append(copy)
        else:
            copy.output[0] = f"{output}.computed"
            self.nodes += [copy, _cast(copy.output[0], output, hold)]
        self.held[output] = hold

    def model(self) -> ModelProto:
        """Return the typed graph, with shapes inferred, once it passes onnx's full check."""
        from onnx import ModelProto, numpy_helper

        model = ModelProto()
        model.CopyFrom(self.source)
        graph = model.graph
        for part in (graph.node, graph.initializer, graph.value_info):
            del part[:]
        graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        graph.initializer.extend(
            numpy_helper.from_array(values.copy(order="C"), name)  # scalars stay scalars
            for name, values in self.weights.items()
            if name in used
        )
        return _check(model)

    def _find_computed_type(self, node: NodeProto) -> int:
        """FP32 for preprocessing, LayerNorm, and what touches a hot value; else FP16."""
        if node.op_type == "LayerNormalization" or node.name.startswith(_PREPROCESS):
            return self.single
        touched = {*node.input, *node.output}
        return self.single if touched & self.hot else self.half

    def _find_held_type(self, output: str, node: NodeProto) -> int:
        inside = node.name.startswith(_PREPROCESS) and output != CENTERED
        return self.single if inside or output in self.hot else self.half

    def _cast_to(self, name: str, kind: int) -> str:
        """Name a value or weight in a type, and cast it where it is held in another."""
        if name in self.constants:
            return self._cast_weight(name, kind)
        hold = self.held.get(name)
        if hold is None or hold == kind:  # the uint8 image goes to its Cast as it is
            return name
        cast = f"{name}.as_{'half' if kind == self.half else 'float'}"
        if cast not in self.made:
            self.made.add(cast)
            self.nodes.append(_cast(name, cast, kind))
        return cast

    def _cast_weight(self, name: str, kind: int) -> str:
        values = self.constants[name]
        if values.dtype != np.float32:
            self.weights[name] = values
            return name
        typed = name if kind == self.half else f"{name}.float"
        self.weights[typed] = values.astype(np.float16 if kind == self.half else np.float32)
        return typed

    def _quantize_activation(self, name: str, kind: int) -> str:
        """Lead a value through QuantizeLinear and DequantizeLinear, one pair for all readers."""
        cast = self.scales is Scales.CASTS
        inside = self.single if cast else kind
        out = f"{name}.dequantized_{'half' if kind == self.half else 'float'}"
        if out in self.made:
            return out
        self.made.add(out)
        scale = self._add_scale(f"{out}.scale", np.array(self.largest[name] / LEVELS), inside)
        zero = f"{out}.zero"
        self.weights[zero] = np.array(0, np.int8)
        levels = f"{out}.levels"
        last = f"{out}.uncast" if inside != kind else out
        self._append("QuantizeLinear", [self._cast_to(name, inside), scale, zero], levels)
        self._append("DequantizeLinear", [levels, scale, zero], last)
        if inside != kind:
            self.nodes.append(_cast(last, out, kind))
        return out

    def _quantize_weight(self, name: str, node: NodeProto, kind: int) -> str:
        axis = _WEIGHTED[node.op_type]
        values = self.constants[name].astype(np.float64)
        others = tuple(i for i in range(values.ndim) if i != axis)
        inside = self.single if self.scales is Scales.CASTS else kind
        scale = self._add_scale(f"{name}.scale", np.abs(values).max(axis=others) / LEVELS, inside)
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        steps = self.weights[scale].astype(np.float64).reshape(shape)
        levels = np.clip(np.round(values / steps), -LEVELS, LEVELS).astype(np.int8)
        self.weights[f"{name}.levels"] = levels
        self.weights[f"{name}.zero"] = np.zeros(values.shape[axis], np.int8)
        out = f"{name}.dequantized"
        last = f"{out}.uncast" if inside != kind else out
        inputs = [f"{name}.levels", scale, f"{name}.zero"]
        self._append("DequantizeLinear", inputs, last, axis=axis)
        if inside != kind:
            self.nodes.append(_cast(last, out, kind))
        return out

    def _add_scale(self, name: str, values: npt.NDArray[np.float64], kind: int) -> str:
        """Store a scale, and name it. Weights are rounded with the stored scale."""
        typed = np.float16 if kind == self.half else np.float32
        self.weights[name] = np.maximum(values, SMALLEST_SCALE).astype(typed)
        return name

    def _append(self, op: str, inputs: list[str], output: str, *, axis: int | None = None) -> None:
        from onnx import helper

        node = helper.make_node(op, inputs, [output], name=output)
        if axis is not None:
            node.attribute.append(helper.make_attribute("axis", axis))
        self.nodes.append(node)


def _cast(name: str, output: str, kind: int) -> NodeProto:
    from onnx import helper

    return helper.make_node("Cast", [name], [output], name=f"{output}.cast", to=kind)


def _check(model: ModelProto) -> ModelProto:
    from onnx import checker, shape_inference

    del model.graph.value_info[:]
    made = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    checker.check_model(made, full_check=True)
    return made
