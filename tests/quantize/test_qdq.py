from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edgeseg.bundle.store import Bundle
from edgeseg.calibration import observe as observe_module
from edgeseg.calibration.observe import observe, resume_observation
from edgeseg.calibration.ranges import ESTIMATORS, Range
from edgeseg.demo.scenes import draw_scene
from edgeseg.progress import Progress
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import FLOAT, RECIPES
from edgeseg.quantize.share import compute_onnx_share
from edgeseg.quantize.taps import find_taps, tap_graph
from edgeseg.segformer.groups import find_group


@pytest.fixture(scope="module")
def model(seeded_graph: onnx.ModelProto) -> onnx.ModelProto:
    return seeded_graph


def frames(count: int) -> list:
    def frame(seed: int) -> np.ndarray:
        return draw_scene(seed, 0, height=96, width=128).image[None]

    return [lambda seed=seed: frame(seed) for seed in range(count)]


@pytest.fixture(scope="module")
def ranges(model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Range]:
    saved = tmp_path_factory.mktemp("r") / "ranges.npz"
    graph = tap_graph(model, find_taps(model))
    found = observe(graph, frames(6), resume_observation(graph, find_taps(model), saved))
    return {name: ESTIMATORS["percentile"](s) for name, s in found.items()}


def run(model: onnx.ModelProto, seed: int = 50) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(["logits"], {"image": frames(seed + 1)[seed]()})[0]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_quantizes_what_it_names_and_nothing_else(
    name: str, model: onnx.ModelProto, ranges: dict[str, Range]
) -> None:
    recipe = RECIPES[name]
    made = to_qdq(model, recipe, ranges)
    onnx.checker.check_model(made, full_check=True)
    makers = {out: node for node in made.graph.node for out in node.output}
    for node in made.graph.node:
        if node.op_type not in {"Conv", "Gemm", "MatMul"}:
            continue
        inputs = [makers[i].op_type for i in node.input[:2] if i in makers]
        quantized = inputs.count("DequantizeLinear") == 2
        assert quantized == (find_group(node.name) in recipe.int8), node.name
    assert (compute_onnx_share(made) > 0) == (name != "float")
    weights = {w.name: w for w in made.graph.initializer}
    for node in made.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in weights:
            values = onnx.numpy_helper.to_array(weights[node.input[0]])
            zero = onnx.numpy_helper.to_array(weights[node.input[2]])
            assert values.dtype in {np.dtype("int8"), np.dtype("int32")}
            assert not zero.any()  # symmetric
    if name != "float":
        # One scale an output channel.
        scales = onnx.numpy_helper.to_array(weights["stage1.block0.ffn_in.weight_scale"])
        assert scales.shape == (128,)


def test_the_quantized_network_computes_nearly_the_same(
    model: onnx.ModelProto, ranges: dict[str, Range]
) -> None:
    expected = run(model)
    scale = expected.std()
    np.testing.assert_array_equal(run(to_qdq(model, FLOAT, ranges)), expected)
    for name in ("int8-conv", "int8-linear", "int8-full"):
        error = (run(to_qdq(model, RECIPES[name], ranges)) - expected).std() / scale
        assert 1e-4 < error < 0.2, name


def test_wrong_ranges_show(model: onnx.ModelProto, ranges: dict[str, Range]) -> None:
    """The mutant: ranges a tenth of what they should be."""
    wrong = {name: Range(r.low / 10, r.high / 10) for name, r in ranges.items()}
    expected = run(model)
    error = (run(to_qdq(model, RECIPES["int8-linear"], wrong)) - expected).std() / expected.std()
    assert error > 0.2


def test_the_share_is_that_of_the_costs(
    seeded_bundle: Bundle, model: onnx.ModelProto, ranges: dict[str, Range]
) -> None:
    """INT8 in all is all; without the attention products, what they are of `inspect`'s count."""
    assert compute_onnx_share(to_qdq(model, RECIPES["int8-full"], ranges)) == 1
    products = 0
    for stage, width in enumerate((16, 32, 80, 128)):
        tokens = (96 * 128) // (16 * 4**stage)
        reduced = tokens // (64, 16, 4, 1)[stage]
        products += 2 * tokens * reduced * width
    share = compute_onnx_share(to_qdq(model, RECIPES["int8-linear"], ranges))
    assert share == pytest.approx(1 - products / seeded_bundle.manifest.model.macs, abs=1e-6)


def test_observing_goes_on_where_it_was_killed(
    model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe_module, "SAVE_EVERY", 2)
    graph, taps = tap_graph(model, find_taps(model)), find_taps(model)
    whole = observe(graph, frames(5), resume_observation(graph, taps, tmp_path / "a"))

    class KilledError(Exception):
        pass

    def killed() -> np.ndarray:
        raise KilledError

    stopped = [*frames(3), killed, killed]
    with pytest.raises(KilledError):
        observe(graph, stopped, resume_observation(graph, taps, tmp_path / "b"))
    begun = resume_observation(graph, taps, tmp_path / "b")
    assert begun.images == 2
    read = []
    counted = [lambda f=f, i=i: (read.append(i), f())[1] for i, f in enumerate(frames(5))]
    resumed = observe(graph, counted, begun)
    assert read == [2, 3, 4]  # two were saved
    for name, statistics in whole.items():
        np.testing.assert_array_equal(statistics.counts, resumed[name].counts)
        assert (statistics.low, statistics.high) == (resumed[name].low, resumed[name].high)


def test_what_was_saved_of_another_model_is_not_used(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    saved = tmp_path / "s"
    graph, taps = tap_graph(model, find_taps(model)), find_taps(model)
    observe(graph, frames(2), resume_observation(graph, taps, saved))
    other = onnx.ModelProto()
    other.CopyFrom(model)
    other.producer_name = "another"
    heard = []
    progress = Progress(phase=lambda *phase: heard.append(phase))
    graph = tap_graph(other, taps)
    observe(graph, frames(2), resume_observation(graph, taps, saved), progress=progress)
    assert heard == [("calibrating", done, 2) for done in (0, 1, 2)]
