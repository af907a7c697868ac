"""Merged forms as typed graphs: the rules, FP16's roundings, INT8, and RTX's builder."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from onnx import ModelProto
from rtx import Plan, build_all
from seeded import model_spec, seeded_model
from typed_graphs import INT8, node

from edgeseg.demo.scenes import draw_scene
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.recipes import FLOAT
from edgeseg.quantize.share import compute_onnx_share
from edgeseg.quantize.targets.tensorrt.emulation import to_fp32_emulation
from edgeseg.quantize.targets.tensorrt.graph import Scales, to_typed, with_class_map
from edgeseg.quantize.targets.tensorrt.peaks import peaks
from edgeseg.quantize.targets.tensorrt.rules import find_violations
from edgeseg.runtime.backends.onnxruntime import OrtBackend
from edgeseg.segformer.form import FORMS, Form, HeadForm
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

HEIGHT, WIDTH = 90, 120  # maps of 23x30, 12x15, 6x8 and 3x4
BOLDEST = FORMS["merge-queries-keys12"]
COARSE = replace(BOLDEST, name="coarse", head=HeadForm.STRIDE_8)
ONE_NORM = "LayerNormalization is one node in FP32"


def merged(form: Form) -> ModelProto:
    network = seeded_model(model_spec("b0", classes=11))
    deployed = rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=form)
    return to_onnx(deployed, height=HEIGHT, width=WIDTH)


def frame() -> np.ndarray:
    return draw_scene(0, 0, height=HEIGHT, width=WIDTH).image[None]


@pytest.fixture(scope="module", params=[BOLDEST, COARSE], ids=["cascade", "stride-8"])
def forms(request: pytest.FixtureRequest) -> dict[str, ModelProto]:
    """The graph, and what is made of it."""
    graph = merged(request.param)
    largest = peaks(graph, [frame])
    typed = {
        "fp16": to_typed(graph, FLOAT, largest={}),
        "int8": to_typed(graph, INT8, largest=largest),
        "int8-casts": to_typed(graph, INT8, largest=largest, scales=Scales.CASTS),
    }
    return {"float": graph} | typed | {"int8-map": with_class_map(typed["int8"])}


def test_typed_merged_graphs_keep_the_rules_and_compute_the_same(
    forms: dict[str, ModelProto],
) -> None:
    exact = OrtBackend(forms["float"].SerializeToString()).infer(frame())
    typed = [model for name, model in forms.items() if name != "float"]
    assert [find_violations(model) for model in typed] == [{}] * len(typed)
    for name, far in (("fp16", 5e-3), ("int8", 0.06), ("int8-casts", 0.06)):
        emulated = to_fp32_emulation(forms[name]).SerializeToString()
        found = OrtBackend(emulated, optimized=False).infer(frame())
        assert 1e-5 < np.linalg.norm(found - exact) / np.linalg.norm(exact) < far, name
    assert compute_onnx_share(forms["int8"]) > 0.6


def test_a_mean_over_channels_is_still_refused(forms: dict[str, ModelProto]) -> None:
    """A LayerNorm in pieces has one; averages of neighbors have none."""
    model = ModelProto()
    model.CopyFrom(forms["fp16"])
    for weight in model.graph.initializer:
        if weight.name == node(model, "stage2.block0.q_average.mean").input[1]:
            weight.raw_data = np.array([1, 4], np.int64).tobytes()
    assert any("q_average.mean" in line for line in find_violations(model)[ONE_NORM])


@pytest.mark.skipif(find_spec("tensorrt_rtx_bindings") is None, reason="needs TensorRT-RTX")
def test_rtx_builds_typed_merged_graphs(forms: dict[str, ModelProto]) -> None:
    names = ("fp16", "int8-map")
    built = build_all([forms[name].SerializeToString() for name in names])
    for name, plan in zip(names, built, strict=True):
        assert isinstance(plan, Plan), (name, plan)
        assert any("Int8" in kind for kind in plan.layers) == (name != "fp16"), plan.layers
