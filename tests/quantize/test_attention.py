"""Attention as ONNX Runtime's one operator, beside the same attention spelled out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from seeded import transformers_model, twin_of

from edgeseg.calibration.observe import observe, resume_observation
from edgeseg.calibration.ranges import ESTIMATORS, Range
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.attention import ATTENTION, CONTRIB, fuse_attention
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import RECIPES, Recipe
from edgeseg.quantize.share import compute_onnx_share
from edgeseg.quantize.taps import find_taps, tap_graph
from edgeseg.segformer.form import FORMS
from edgeseg.segformer.groups import Group
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    import onnx

SIZE = (90, 130)  # odd maps in every stage
FRAME = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), np.uint8)


def write_graph(form: str) -> onnx.ModelProto:
    oracle = twin_of(transformers_model("b0", classes=5))
    deployed = rewrite(oracle, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=FORMS[form])
    return to_onnx(deployed, height=SIZE[0], width=SIZE[1])


@pytest.fixture(scope="module", params=["exact", "merge-queries-keys12"])
def model(request: pytest.FixtureRequest) -> onnx.ModelProto:
    return write_graph(request.param)


@pytest.fixture(scope="module")
def ranges(model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Range]:
    graph, taps = tap_graph(model, find_taps(model)), find_taps(model)
    saved = tmp_path_factory.mktemp("ranges") / "ranges.npz"
    found = observe(graph, [lambda: FRAME], resume_observation(graph, taps, saved))
    return {name: ESTIMATORS["minmax"](statistics) for name, statistics in found.items()}


def run(model: onnx.ModelProto) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(["logits"], {"image": FRAME})[0]


def test_it_computes_what_the_plain_graph_computes(model: onnx.ModelProto) -> None:
    given = model.SerializeToString()
    fused = fuse_attention(model)
    assert model.SerializeToString() == given
    kinds = Counter(node.op_type for node in fused.graph.node)
    assert (kinds[CONTRIB.name], kinds["MatMul"], kinds["Softmax"]) == (8, 0, 0)  # B0 has 8 blocks
    expected = run(model)
    np.testing.assert_allclose(run(fused), expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("stages", [(), (1,), (2, 4)])
def test_attention_with_int8_products_stays_spelled_out(
    model: onnx.ModelProto, ranges: dict[str, Range], stages: tuple[int, ...]
) -> None:
    float_products = [Group(f"stage{s}", role) for s in stages for role in ("scores", "values")]
    plain = to_qdq(model, RECIPES["int8-full"].without(*float_products), ranges)
    fused = fuse_attention(plain)
    blocks = [n.name.rpartition(".")[0] for n in fused.graph.node if n.op_type in ATTENTION]
    assert blocks == [f"stage{s}.block{block}" for s in stages for block in range(2)]
    check_same(fused, plain)


@pytest.mark.parametrize("recipe", [RECIPES["int8-linear"], RECIPES["int8-no-softmax"]])
def test_the_linear_layers_around_it_are_int8(
    model: onnx.ModelProto, ranges: dict[str, Range], recipe: Recipe
) -> None:
    plain = to_qdq(model, recipe, ranges)
    fused = fuse_attention(plain)
    count = sum(node.op_type in ATTENTION for node in fused.graph.node)
    assert count == (8 if recipe.name == "int8-linear" else 0)
    check_same(fused, plain)


def check_same(fused: onnx.ModelProto, plain: onnx.ModelProto) -> None:
    """Integer steps turn rounding into whole steps, so that masks and shares are compared."""
    assert compute_onnx_share(fused) == pytest.approx(compute_onnx_share(plain), abs=1e-12)
    found, expected = run(fused), run(plain)
    assert np.abs(found - expected).mean() < 0.02 * expected.std()
