"""The strongly typed graph: its types, its roundings, and the rules of TensorRT's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from seeded import model_spec, seeded_model

from edgeseg.demo import draw_scene
from edgeseg.errors import ExportError
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.pixels import resize_ids, to_mask
from edgeseg.quantize.recipes import FLOAT, RECIPES, Recipe
from edgeseg.quantize.share import onnx_share
from edgeseg.quantize.targets.tensorrt.emulation import emulated, open_emulation
from edgeseg.quantize.targets.tensorrt.graph import Scales, hot_tensors, to_typed, with_class_map
from edgeseg.quantize.targets.tensorrt.peaks import peaks
from edgeseg.quantize.targets.tensorrt.quantizer import TYPED_ROLES
from edgeseg.quantize.targets.tensorrt.rules import RULES, check_rules, violations
from edgeseg.runtime.backends.onnxruntime import OrtBackend
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

HEIGHT, WIDTH = 96, 128
INT8 = RECIPES["int8-linear"].only(TYPED_ROLES - {"dwconv"})


def frame(seed: int) -> np.ndarray:
    return draw_scene(seed, 0, height=HEIGHT, width=WIDTH).image[None]


@pytest.fixture(scope="module")
def model() -> ModelProto:
    network = seeded_model(model_spec("b0", classes=11))
    return to_onnx(
        rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD), height=HEIGHT, width=WIDTH
    )


@pytest.fixture(scope="module")
def largest(model: ModelProto) -> dict[str, float]:
    frames = [lambda seed=seed: frame(seed) for seed in range(4)]
    return peaks(model, frames)


@pytest.fixture(scope="module")
def half(model: ModelProto) -> ModelProto:
    return to_typed(model, FLOAT, largest={})


@pytest.fixture(scope="module")
def typed(model: ModelProto, largest: dict[str, float]) -> ModelProto:
    return to_typed(model, INT8, largest=largest)


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
    assert violations(made) == {}
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
    assert onnx_share(typed) > 0.6
    assert onnx_share(half) == 0


def test_emulation_rounds_as_numpy_does(model: ModelProto, half: ModelProto) -> None:
    exact, rounded = run(model, optimized=True), run(emulated(half))
    assert 1e-5 < far(rounded, exact) < 5e-3
    np.testing.assert_array_equal(rounded, rounded.astype(np.float16).astype(np.float32))


def test_int8_computes_nearly_the_same(
    model: ModelProto, typed: ModelProto, largest: dict[str, float]
) -> None:
    exact = run(model, optimized=True)
    assert far(run(emulated(typed)), exact) < 0.06
    casts = to_typed(model, INT8, largest=largest, scales=Scales.CASTS)
    assert far(run(emulated(casts)), exact) < 0.06
    clipped = to_typed(model, INT8, largest={n: v / 8 for n, v in largest.items()})
    assert far(run(emulated(clipped)), exact) > 0.2


def test_the_optimizer_agrees(typed: ModelProto) -> None:
    """ONNX Runtime was seen to give garbage for other Q/DQ graphs when it optimizes them."""
    plain, optimized = (run(emulated(typed), optimized=on) for on in (False, True))
    assert far(optimized, plain) < 0.02


def test_class_ids_are_those_of_the_logits(half: ModelProto, tmp_path: Path) -> None:
    logits = run(emulated(half))
    path = tmp_path / "map.onnx"
    onnx.save(with_class_map(half), path)
    ids = open_emulation(path).infer(frame(50))
    assert (ids.shape, ids.dtype) == ((1, HEIGHT, WIDTH), np.uint8)
    assert np.mean(ids[0] == to_mask(logits, height=HEIGHT, width=WIDTH)) > 0.995
    larger = resize_ids(ids[0], height=2 * HEIGHT, width=3 * WIDTH)
    np.testing.assert_array_equal(larger[::2, ::3], ids[0])
    left = resize_ids(ids[0], height=HEIGHT, width=WIDTH // 2, share=(1.0, 0.5))
    np.testing.assert_array_equal(left, ids[0][:, : WIDTH // 2])


def test_many_classes_need_wider_ids() -> None:
    network = seeded_model(model_spec("b0", classes=300))
    graph = to_onnx(rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD), height=64, width=64)
    made = with_class_map(to_typed(graph, FLOAT, largest={}))
    assert made.graph.output[0].type.tensor_type.elem_type == TensorProto.INT32
    assert violations(made) == {}


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
    blind = run(emulated(to_typed(loud, FLOAT, largest={})))
    assert not np.isfinite(blind).all()
    hot = hot_tensors(found)
    assert "stage2.block1.attn_out" in hot
    assert len(hot) < 40
    mended = to_typed(loud, FLOAT, largest={}, hot=hot)
    assert violations(mended) == {}
    assert far(run(emulated(mended)), exact) < 5e-3
    quantized = to_typed(loud, INT8, largest=found, hot=hot)
    assert violations(quantized) == {}
    assert np.isfinite(run(emulated(quantized))).all()


def test_a_value_that_is_no_number_is_hot() -> None:
    assert hot_tensors({"a": float("nan"), "b": 1.0, "c": 16377.0, "d": 16376.0}) == {"a", "c"}


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
    assert violations(made) == {}


def node(model: ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == name)


def weight(model: ModelProto, name: str) -> TensorProto:
    return next(weight for weight in model.graph.initializer if weight.name == name)


def _replace(model: ModelProto, name: str, values: np.ndarray) -> None:
    weight(model, name).CopyFrom(numpy_helper.from_array(values, name))


def _newer_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 21


def _newer_ir(model: ModelProto) -> None:
    model.ir_version = 11


def _unsorted(model: ModelProto) -> None:
    first = model.graph.node[0]
    moved = onnx.NodeProto()
    moved.CopyFrom(first)
    del model.graph.node[0]
    model.graph.node.append(moved)


def _batch_of_two(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 2


def _dynamic(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"


def _other_operator(model: ModelProto) -> None:
    node(model, "head.relu").op_type = "Celu"


def _bool_operand(model: ModelProto) -> None:
    for value in model.graph.value_info:
        if value.name == "head.stage1.sum":
            value.type.tensor_type.elem_type = TensorProto.BOOL


def _uint8_transposed(model: ModelProto) -> None:
    made = helper.make_node("Transpose", ["image"], ["turned"], name="turned", perm=[0, 3, 1, 2])
    model.graph.node.append(made)


def _zero_scale(model: ModelProto) -> None:
    name = "stage1.patch_embed.weight.scale"
    values = numpy_helper.to_array(weight(model, name)).copy()
    values[0] = 0
    _replace(model, name, values)


def _wide_scale(model: ModelProto) -> None:
    name = "head.relu.dequantized_half.scale"
    _replace(model, name, numpy_helper.to_array(weight(model, name)).astype(np.float32))


def _output_dtype(model: ModelProto) -> None:
    made = node(model, "head.relu.dequantized_half.levels")
    made.attribute.append(helper.make_attribute("output_dtype", TensorProto.INT8))


def _no_zero_point(model: ModelProto) -> None:
    del node(model, "head.relu.dequantized_half").input[2]


def _other_zero_point(model: ModelProto) -> None:
    _replace(model, "head.relu.dequantized_half.zero", np.array(3, np.int8))


def _unsigned_zero_point(model: ModelProto) -> None:
    _replace(model, "head.relu.dequantized_half.zero", np.array(0, np.uint8))


def _one_scale_for_all(model: ModelProto) -> None:
    _replace(model, "stage1.patch_embed.weight.scale", np.array(0.01, np.float16))


def _other_axis(model: ModelProto) -> None:
    (axis,) = node(model, "stage1.block0.q.weight.dequantized").attribute
    axis.i = 0


def _float_weight_beside_int8(model: ModelProto) -> None:
    name = "stage1.block0.ffn_in"
    data = node(model, name).input[1]
    values = np.zeros((128, 32, 1, 1), np.float16)
    model.graph.initializer.append(numpy_helper.from_array(values, f"{data}.float"))
    node(model, name).input[1] = f"{data}.float"


def _scales_of_an_activation(model: ModelProto) -> None:
    name = "head.relu.dequantized_half.scale"
    _replace(model, name, np.full(256, 0.1, np.float16))


def _quantized_softmax(model: ModelProto) -> None:
    node(model, "stage1.block0.softmax").input[0] = "head.relu.dequantized_half"


def _quantized_product(model: ModelProto) -> None:
    node(model, "stage1.block0.values").input[1] = "head.relu.dequantized_half"


def _quantized_gelu(model: ModelProto) -> None:
    node(model, "stage1.block0.gelu.erf").input[0] = "head.relu.dequantized_half"


def _integer_bias(model: ModelProto) -> None:
    name = "stage1.patch_embed.bias"
    _replace(model, name, np.zeros(32, np.int32))


def _half_norm(model: ModelProto) -> None:
    made = node(model, "stage1.embed_norm")
    for value in model.graph.value_info:
        if value.name in {made.input[0], made.output[0]}:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16


def _norm_in_pieces(model: ModelProto) -> None:
    node(model, "head.relu").op_type = "ReduceMean"


def _scale_after_the_product(model: ModelProto) -> None:
    softmax = node(model, "stage1.block0.softmax")
    softmax.input[0] = "stage1.block0.gelu"


BREAKING: list[tuple[str, Callable[[ModelProto], None]]] = [
    ("opset 19 or 20, IR at most 10", _newer_opset),
    ("opset 19 or 20, IR at most 10", _newer_ir),
    ("onnx's full check", _unsorted),
    ("static shapes, batch 1", _batch_of_two),
    ("static shapes, batch 1", _dynamic),
    ("operators and types of TensorRT 10.3's parser", _other_operator),
    ("operators and types of TensorRT 10.3's parser", _bool_operand),
    ("uint8 at the ends only, into one Cast", _uint8_transposed),
    ("scales above 0, of the type around them", _zero_scale),
    ("scales above 0, of the type around them", _wide_scale),
    ("scales above 0, of the type around them", _output_dtype),
    ("int8 zero points, present and 0", _no_zero_point),
    ("int8 zero points, present and 0", _other_zero_point),
    ("int8 zero points, present and 0", _unsigned_zero_point),
    ("int8 weights, one scale an output channel", _one_scale_for_all),
    ("int8 weights, one scale an output channel", _other_axis),
    ("int8 weights, one scale an output channel", _float_weight_beside_int8),
    ("activations have one scale", _scales_of_an_activation),
    ("softmax, LayerNorm, GELU and attention products stay float", _quantized_softmax),
    ("softmax, LayerNorm, GELU and attention products stay float", _quantized_product),
    ("softmax, LayerNorm, GELU and attention products stay float", _quantized_gelu),
    ("biases stay float", _integer_bias),
    ("LayerNormalization is one node in FP32", _half_norm),
    ("LayerNormalization is one node in FP32", _norm_in_pieces),
    ("the attention scale is in q", _scale_after_the_product),
]


@pytest.mark.parametrize(("rule", "damage"), BREAKING)
def test_a_broken_rule_is_named(
    typed: ModelProto, rule: str, damage: Callable[[ModelProto], None]
) -> None:
    broken = ModelProto()
    broken.CopyFrom(typed)
    damage(broken)
    assert rule in violations(broken)
    with pytest.raises(ExportError, match=r"it is not for TensorRT: .*please report this"):
        check_rules(broken, origin="it")


def test_every_rule_is_broken_on_purpose() -> None:
    assert {rule for rule, _ in BREAKING} == set(RULES)
