"""Typed graphs and their nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.demo import draw_scene
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.targets.tensorrt.quantizer import TYPED_ROLES

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from onnx import ModelProto, TensorProto

HEIGHT, WIDTH = 96, 128
INT8 = RECIPES["int8-linear"].only(TYPED_ROLES - {"dwconv"})


def frame(seed: int) -> np.ndarray:
    return draw_scene(seed, 0, height=HEIGHT, width=WIDTH).image[None]


def node(model: ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == name)


def weight(model: ModelProto, name: str) -> TensorProto:
    return next(weight for weight in model.graph.initializer if weight.name == name)
