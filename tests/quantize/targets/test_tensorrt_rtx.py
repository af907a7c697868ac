"""TensorRT-RTX parses and builds every form; it is not a Jetson's TensorRT (tests/support/rtx)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper
from rtx import Plan, build_all
from seeded import model_spec, seeded_model

from edgeseg.demo.scenes import draw_scene
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.recipes import FLOAT, RECIPES
from edgeseg.quantize.targets.tensorrt.graph import Scales, to_typed, with_class_map
from edgeseg.quantize.targets.tensorrt.peaks import peaks
from edgeseg.quantize.targets.tensorrt.quantizer import TYPED_ROLES
from edgeseg.quantize.targets.tensorrt.rules import find_violations
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD, Upsampling

if find_spec("tensorrt_rtx_bindings") is None:
    pytest.skip("TensorRT-RTX is not installed", allow_module_level=True)

INT8 = RECIPES["int8-linear"].only(TYPED_ROLES - {"dwconv"})


def forms(variant: str, height: int, width: int) -> Iterator[tuple[str, ModelProto]]:
    network = seeded_model(model_spec(variant, classes=19))
    graph = to_onnx(
        rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD), height=height, width=width
    )
    frame = draw_scene(0, 0, height=height, width=width).image[None]
    largest = peaks(graph, [lambda: frame])
    typed = {
        "fp16": to_typed(graph, FLOAT, largest={}),
        "int8": to_typed(graph, INT8, largest=largest),
        "int8-casts": to_typed(graph, INT8, largest=largest, scales=Scales.CASTS),
    }
    for name, model in typed.items():
        yield name, model
        yield f"{name}-map", with_class_map(model)


def rows(variant: str, height: int, width: int) -> str:
    """A line for each form: its name, and what RTX makes of it."""
    models = dict(forms(variant, height, width))
    assert [find_violations(model) for model in models.values()] == [{}] * len(models)
    built = build_all([model.SerializeToString() for model in models.values()])
    lines = []
    for name, plan in zip(models, built, strict=True):
        assert isinstance(plan, Plan), plan
        layers = ", ".join(f"{count} {kind}" for kind, count in sorted(plan.layers.items()))
        lines.append(f"{name}: {layers}\n")
    return "".join(lines)


@pytest.mark.long
def test_every_form_of_b0_is_built(golden: Callable[[str, str], None]) -> None:
    golden("rtx_layers_b0_96x128.txt", rows("b0", 96, 128))


def test_class_maps_that_align_corners_are_built() -> None:
    models = dict(forms("b0", 64, 64))
    made = [with_class_map(models[name], Upsampling.ALIGN_CORNERS) for name in ("fp16", "int8")]
    assert [find_violations(model) for model in made] == [{}, {}]
    for plan in build_all([model.SerializeToString() for model in made]):
        assert isinstance(plan, Plan), plan


def test_rtx_refuses_what_the_rules_refuse() -> None:
    """So that building means something."""
    models = dict(forms("b0", 64, 64))
    broken = models["int8"]
    for weight in broken.graph.initializer:
        if weight.name == "stage1.patch_embed.weight.scale":
            values = np.zeros_like(numpy_helper.to_array(weight))
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    assert "scales above 0, of the type around them" in find_violations(broken)
    (said,) = build_all([broken.SerializeToString()])
    assert isinstance(said, list)


@pytest.mark.long
@pytest.mark.parametrize(
    ("variant", "height", "width"),
    [
        *[(name, 512, 512) for name in ("b0", "b1", "b2", "b3", "b4", "b5")],
        ("b0", 512, 1024),
    ],
)
def test_every_variant_is_built(
    variant: str, height: int, width: int, golden: Callable[[str, str], None]
) -> None:
    golden(f"rtx_layers_{variant}_{height}x{width}.txt", rows(variant, height, width))
