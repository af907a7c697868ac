"""The strongly typed graph: its types, its roundings, and the rules of TensorRT's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from seeded import model_spec, seeded_model
from typed_graphs import HEIGHT, INT8, WIDTH, frame

from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.pixels import resize_ids, to_mask
from edgeseg.quantize.recipes import FLOAT, Recipe
from edgeseg.quantize.share import compute_onnx_share
from edgeseg.quantize.targets.tensorrt.emulation import open_emulation, to_fp32_emulation
from edgeseg.quantize.targets.tensorrt.graph import (
    Scales,
    find_hot_tensors,
    to_typed,
    with_class_map,
)
from edgeseg.quantize.targets.tensorrt.peaks import peaks
from edgeseg.quantize.targets.tensorrt.rules import check_rules, find_violations
from edgeseg.runtime.backends.onnxruntime import OrtBackend
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD, Upsampling


@pytest.fixture(scope="module")
def half(model: ModelProto) -> ModelProto:
    return to_typed(model, FLOAT, largest={})


def run(model: ModelProto, seed: int = 50, *, optimized: bool = False) -> np.ndarray:
    return OrtBackend(model.SerializeToString(), optimized=optimized).infer(frame(seed))


def far(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def test_peaks_are_the_largest_magnitudes(model: ModelProto, largest: dict[str, float]) -> None:
    logits = [run(model, seed, optimized=True) for seed in range(4)]
    assert largest["logits"] == pytest.approx(max(np.abs(y).max() for y in logits), rel=1e-5)
    assert largest["preprocess.cast"] == max(frame(seed).max() for seed in range(4))


@pytest.mark.parametrize("scales", Scales)
@pytest.mark.parametrize("recipe", [FLOAT, INT8])
@pytest.mark.parametrize("class_map", [False, True])
def test_every_form_keeps_the_rules(
    model: ModelProto,
    largest: dict[str, float],
    scales: Scales,
    recipe: Recipe,
    class_map: bool,
) -> None:
    made = to_typed(model, recipe, largest=largest, scales=scales)
    made = with_class_map(made) if class_map else made
    assert find_violations(made) == {}
    check_rules(made, origin="it")


def test_what_is_held_in_which_type(half: ModelProto, typed: ModelProto) -> None:
    for made in (half, typed):
        kinds = {v.name: v.type.tensor_type.elem_type for v in made.graph.value_info}
        nodes = {node.name: node for node in made.graph.node}
        assert kinds["preprocess.cast"] == TensorProto.FLOAT
        assert kinds["preprocess.center"] == TensorProto.FLOAT16
        for name, kind in kinds.items():
            node = nodes.get(name)
            if node is not None and node.op_type in {"Conv", "Gemm", "MatMul", "Softmax", "Add"}:
                assert kind == TensorProto.FLOAT16, name
        norms = [node for node in made.graph.node if node.op_type == "LayerNormalization"]
        assert len(norms) == 4 + 4 + 8 * 2 + 6  # embeddings, stages, two a block, reductions
    (logits,) = half.graph.output
    assert logits.type.tensor_type.elem_type == TensorProto.FLOAT
    weights = {w.name: numpy_helper.to_array(w) for w in typed.graph.initializer}
    levels = weights["stage3.block0.ffn_in.weight.levels"]
    assert levels.dtype == np.int8
    assert np.abs(levels).max(axis=(1, 2, 3)).min() >= 126  # every channel has its own scale


def test_the_size_is_halved_and_quartered(
    model: ModelProto, half: ModelProto, typed: ModelProto
) -> None:
    whole, two, one = (len(m.SerializeToString()) for m in (model, half, typed))
    assert 0.49 < two / whole < 0.55
    assert 0.25 < one / whole < 0.33
    assert compute_onnx_share(typed) > 0.6
    assert compute_onnx_share(half) == 0


def test_emulation_rounds_as_numpy_does(model: ModelProto, half: ModelProto) -> None:
    exact, rounded = run(model, optimized=True), run(to_fp32_emulation(half))
    assert 1e-5 < far(rounded, exact) < 5e-3
    np.testing.assert_array_equal(rounded, rounded.astype(np.float16).astype(np.float32))


def test_int8_computes_nearly_the_same(
    model: ModelProto, typed: ModelProto, largest: dict[str, float]
) -> None:
    exact = run(model, optimized=True)
    assert far(run(to_fp32_emulation(typed)), exact) < 0.06
    casts = to_typed(model, INT8, largest=largest, scales=Scales.CASTS)
    assert far(run(to_fp32_emulation(casts)), exact) < 0.06
    clipped = to_typed(model, INT8, largest={n: v / 8 for n, v in largest.items()})
    assert far(run(to_fp32_emulation(clipped)), exact) > 0.2


def test_the_optimizer_agrees(typed: ModelProto) -> None:
    """ONNX Runtime was seen to give garbage for other Q/DQ graphs when it optimizes them."""
    plain, optimized = (run(to_fp32_emulation(typed), optimized=on) for on in (False, True))
    assert far(optimized, plain) < 0.02


@pytest.mark.parametrize("upsampling", Upsampling)
def test_class_ids_are_those_of_the_logits(
    half: ModelProto, tmp_path: Path, upsampling: Upsampling
) -> None:
    logits = run(to_fp32_emulation(half))
    path = tmp_path / "map.onnx"
    onnx.save(with_class_map(half, upsampling), path)
    ids = open_emulation(path).infer(frame(50))
    assert (ids.shape, ids.dtype) == ((1, HEIGHT, WIDTH), np.uint8)
    mask = to_mask(logits, height=HEIGHT, width=WIDTH, upsampling=upsampling)
    assert np.mean(ids[0] == mask) > 0.995
    larger = resize_ids(ids[0], height=2 * HEIGHT, width=3 * WIDTH)
    np.testing.assert_array_equal(larger[::2, ::3], ids[0])
    left = resize_ids(ids[0], height=HEIGHT, width=WIDTH // 2, share=(1.0, 0.5))
    np.testing.assert_array_equal(left, ids[0][:, : WIDTH // 2])


def test_many_classes_need_wider_ids() -> None:
    network = seeded_model(model_spec("b0", classes=300))
    graph = to_onnx(rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD), height=64, width=64)
    made = with_class_map(to_typed(graph, FLOAT, largest={}))
    assert made.graph.output[0].type.tensor_type.elem_type == TensorProto.INT32
    assert find_violations(made) == {}


def overflowing(model: ModelProto, gain: float) -> ModelProto:
    """The network with the values of one attention's output `gain` times as large."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for weight in copy.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.name in {
            "stage2.block1.attn_out.weight",
            "stage2.block1.attn_out.bias",
        }:
            weight.CopyFrom(numpy_helper.from_array(values * np.float32(gain), weight.name))
    return copy


def test_an_overflow_is_caught_and_mended(model: ModelProto) -> None:
    """Weights all fit FP16; an activation of more than 1e5 does not."""
    loud = overflowing(model, 3e4)
    weights = [numpy_helper.to_array(w) for w in loud.graph.initializer]
    assert max(np.abs(w).max() for w in weights if w.dtype == np.float32) < 65504
    found = peaks(loud, [lambda: frame(50)])
    assert found["stage2.block1.attn_out"] > 1e5
    exact = run(loud, optimized=True)
    blind = run(to_fp32_emulation(to_typed(loud, FLOAT, largest={})))
    assert not np.isfinite(blind).all()
    hot = find_hot_tensors(found)
    assert "stage2.block1.attn_out" in hot
    assert len(hot) < 40
    mended = to_typed(loud, FLOAT, largest={}, hot=hot)
    assert find_violations(mended) == {}
    assert far(run(to_fp32_emulation(mended)), exact) < 5e-3
    quantized = to_typed(loud, INT8, largest=found, hot=hot)
    assert find_violations(quantized) == {}
    assert np.isfinite(run(to_fp32_emulation(quantized))).all()


def test_a_value_that_is_no_number_is_hot() -> None:
    assert find_hot_tensors({"a": float("nan"), "b": 1.0, "c": 16377.0, "d": 16376.0}) == {"a", "c"}


def test_small_scales_stay_above_zero(model: ModelProto, largest: dict[str, float]) -> None:
    """A channel that is all zero, and an activation that hardly moves."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for weight in copy.graph.initializer:
        if weight.name == "stage1.block0.q.weight":
            values = numpy_helper.to_array(weight).copy()
            values[:, 3] = 0
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    made = to_typed(copy, INT8, largest={**largest, "stage1.block0.norm1": 1e-9})
    assert find_violations(made) == {}
