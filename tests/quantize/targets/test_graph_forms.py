"""The forms of a typed graph compute the same, keep the rules, and are built by TensorRT-RTX."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from rtx import Plan, build_all
from seeded import model_spec, normalized, seeded_model, transformers_model, twin_of
from typed_graphs import HEIGHT, INT8, WIDTH, frame

from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.recipes import FLOAT, RECIPES, Recipe
from edgeseg.quantize.share import compute_onnx_share
from edgeseg.quantize.targets.tensorrt.batch import to_batch
from edgeseg.quantize.targets.tensorrt.emulation import to_fp32_emulation
from edgeseg.quantize.targets.tensorrt.forms import (
    GRAPH_FORMS,
    PLAIN,
    GraphForm,
    write_form,
)
from edgeseg.quantize.targets.tensorrt.graph import to_typed, with_class_map
from edgeseg.quantize.targets.tensorrt.rules import find_violations
from edgeseg.runtime.backends.onnxruntime import OrtBackend
from edgeseg.segformer.form import FORMS
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

OTHERS = [form for form in GRAPH_FORMS if form != PLAIN]
ATTENTION = GraphForm(attention=True)
FRAMES = np.concatenate([frame(seed) for seed in range(3)])
needs_rtx = pytest.mark.skipif(
    find_spec("tensorrt_rtx_bindings") is None, reason="needs TensorRT-RTX"
)


def name(form: GraphForm) -> str:
    return "-".join(form.words)


def run(model: ModelProto, given: np.ndarray, *, optimized: bool = False) -> np.ndarray:
    return OrtBackend(model.SerializeToString(), optimized=optimized).infer(given)


def to_form(
    model: ModelProto,
    form: GraphForm,
    largest: dict[str, float],
    recipe: Recipe = FLOAT,
    hot: frozenset[str] = frozenset(),
) -> ModelProto:
    formed = write_form(model, form)
    return to_typed(
        formed.model, recipe, largest=formed.add_largest(largest), hot=formed.add_hot(hot)
    )


@pytest.fixture(scope="module")
def images_only(largest: dict[str, float]) -> dict[str, float]:
    """What calibration samples in the image form: inputs of what recipes quantize."""
    return {n: v for n, v in largest.items() if not n.endswith((".norm2", ".ffn_narrow"))}


@pytest.fixture(scope="module")
def batched(model: ModelProto, largest: dict[str, float]) -> dict[str, ModelProto]:
    """Typed graphs for three frames at once."""
    made = {
        "fp16": to_form(model, PLAIN, largest),
        "fp16-tokens-attention": to_form(model, GRAPH_FORMS[-1], largest),
        "int8-tokens": to_form(model, GRAPH_FORMS[1], largest, INT8),
    }
    made["fp16-map"] = with_class_map(made["fp16"])
    return {key: to_batch(graph, len(FRAMES)) for key, graph in made.items()}


def test_every_form_computes_what_transformers_does() -> None:
    oracle = transformers_model("b0", classes=5)
    image = frame(7)
    with torch.no_grad():
        expected = oracle(normalized(torch.from_numpy(image), torch.float32)).logits.numpy()
    deployed = rewrite(twin_of(oracle), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    graph = to_onnx(deployed, height=HEIGHT, width=WIDTH)
    for form in OTHERS:
        found = run(write_form(graph, form).model, image, optimized=True)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("form", OTHERS, ids=name)
@pytest.mark.parametrize("recipe", [FLOAT, INT8], ids=["fp16", "int8"])
def test_every_form_keeps_the_rules_and_gives_the_same_logits(
    model: ModelProto, images_only: dict[str, float], form: GraphForm, recipe: Recipe
) -> None:
    plain = to_form(model, PLAIN, images_only, recipe)
    made = to_form(model, form, images_only, recipe)
    assert find_violations(made) == {}
    assert compute_onnx_share(made) == pytest.approx(compute_onnx_share(plain), abs=1e-12)
    found, expected = (run(to_fp32_emulation(m), frame(5)) for m in (made, plain))
    # Other roundings in FP16; INT8 turns some of them into whole steps.
    far = 0.05 if recipe.int8 else 0.005
    assert np.linalg.norm(found - expected) < far * np.linalg.norm(expected)


def test_the_operators_are_those_of_the_form(model: ModelProto) -> None:
    """B0 has eight blocks, of two products and two 1x1 convolutions."""
    counts = {
        form.words: Counter(node.op_type for node in write_form(model, form).model.graph.node)
        for form in GRAPH_FORMS
    }
    plain = counts[()]
    for words, found in counts.items():
        assert found["Attention"] == (8 if "attention" in words else 0)
        assert plain["MatMul"] - found["MatMul"] == 2 * found["Attention"]
        moved = 16 if "tokens" in words else 0
        assert found["Gemm"] == plain["Gemm"] + moved
        assert found["Conv"] == plain["Conv"] - moved


def test_int8_weights_are_the_same_numbers(
    model: ModelProto, images_only: dict[str, float]
) -> None:
    image, tokens = (to_form(model, form, images_only, INT8) for form in GRAPH_FORMS[:2])
    for part in ("ffn_in", "ffn_out"):
        key = f"stage2.block1.{part}.weight.levels"
        first, second = (
            next(numpy_helper.to_array(w) for w in m.graph.initializer if w.name == key)
            for m in (image, tokens)
        )
        np.testing.assert_array_equal(first[:, :, 0, 0], second.T)


def test_values_beyond_fp16_stay_in_fp32_in_every_form(model: ModelProto) -> None:
    """Also where the form has the value under another name, or inside an operator."""
    block = "stage2.block1"
    made = to_form(
        model, GRAPH_FORMS[-1], {}, hot=frozenset({f"{block}.scores", f"{block}.ffn_in"})
    )
    kinds = {v.name: v.type.tensor_type.elem_type for v in made.graph.value_info}
    for value in ("attention", "ffn_in", "ffn_wide"):
        assert kinds[f"{block}.{value}"] == TensorProto.FLOAT, value
    assert kinds["stage2.block0.attention"] == TensorProto.FLOAT16
    assert find_violations(made) == {}


def test_a_scale_beside_the_query_breaks_a_rule(
    model: ModelProto, largest: dict[str, float]
) -> None:
    made = to_form(model, ATTENTION, largest)
    operator = next(node for node in made.graph.node if node.op_type == "Attention")
    next(a for a in operator.attribute if a.name == "scale").f = 0.125
    assert "the attention scale is in q" in find_violations(made)
    made.opset_import[0].version = 20
    assert any("opset" in rule for rule in find_violations(made))


def test_depth_wise_int8_has_a_range_in_the_token_form(
    model: ModelProto, images_only: dict[str, float]
) -> None:
    """A recipe from a file may ask for it."""
    bold = RECIPES["int8-linear"].only({"dwconv", "ffn_in", "ffn_out"})
    made = to_form(model, GRAPH_FORMS[1], images_only, bold)
    assert find_violations(made) == {}


@pytest.mark.parametrize(
    ("form", "graph_form"),
    [("exact", PLAIN), ("exact", ATTENTION), ("merge-queries-keys12", GRAPH_FORMS[1])],
)
def test_a_batch_computes_what_single_frames_do(form: str, graph_form: GraphForm) -> None:
    """Merged forms have odd grids here, whose last row and column are written twice."""
    network = seeded_model(model_spec("b0", classes=11))
    deployed = rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=FORMS[form])
    graph = write_form(to_onnx(deployed, height=90, width=120), graph_form).model
    given = np.ascontiguousarray(FRAMES[:, :90, :120])
    single = OrtBackend(graph.SerializeToString())
    expected = np.concatenate([single.infer(one[None]) for one in given])
    found = run(to_batch(graph, len(given)), given, optimized=True)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_typed_batch_keeps_the_rules_and_computes_the_same(
    model: ModelProto, largest: dict[str, float], batched: dict[str, ModelProto]
) -> None:
    assert [find_violations(made) for made in batched.values()] == [{}] * len(batched)
    single = OrtBackend(
        to_fp32_emulation(to_form(model, PLAIN, largest)).SerializeToString(), optimized=False
    )
    expected = np.concatenate([single.infer(one[None]) for one in FRAMES])
    found = run(to_fp32_emulation(batched["fp16"]), FRAMES)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())
    ids = run(to_fp32_emulation(batched["fp16-map"]), FRAMES)
    assert (ids.shape, ids.dtype) == ((3, HEIGHT, WIDTH), np.uint8)


def test_a_batch_in_int8_pads_each_of_its_frames(
    model: ModelProto, largest: dict[str, float], batched: dict[str, ModelProto]
) -> None:
    alone = to_form(model, GRAPH_FORMS[1], largest, INT8)
    assert any(node.op_type == "Pad" for node in alone.graph.node)
    single = OrtBackend(to_fp32_emulation(alone).SerializeToString(), optimized=False)
    expected = np.concatenate([single.infer(one[None]) for one in FRAMES])
    found = run(to_fp32_emulation(batched["int8-tokens"]), FRAMES)
    # Where a sum in another order is rounded to another INT8 step, all behind it differs a little.
    assert np.abs(found - expected).mean() < 0.02 * expected.std()


@needs_rtx
def test_rtx_builds_forms_and_a_batch(
    model: ModelProto, largest: dict[str, float], batched: dict[str, ModelProto]
) -> None:
    build_with_rtx(
        {
            "int8-tokens-attention": to_form(model, GRAPH_FORMS[-1], largest, INT8),
            "fp16-attention": to_form(model, ATTENTION, largest),
            "batch of fp16": batched["fp16"],
        }
    )


@needs_rtx
@pytest.mark.long
def test_rtx_builds_every_form_and_every_batch(
    model: ModelProto, largest: dict[str, float], batched: dict[str, ModelProto]
) -> None:
    build_with_rtx(
        {f"fp16-{name(form)}": to_form(model, form, largest) for form in OTHERS}
        | {f"int8-{name(form)}": to_form(model, form, largest, INT8) for form in OTHERS}
        | batched
    )


def build_with_rtx(graphs: dict[str, ModelProto]) -> None:
    built = build_all([graph.SerializeToString() for graph in graphs.values()])
    for key, plan in zip(graphs, built, strict=True):
        assert isinstance(plan, Plan), (key, plan)
        assert any("Int8" in kind for kind in plan.layers) == key.startswith("int8"), plan.layers
        assert plan.layers["fused attention"] > 0, (key, plan.layers)
