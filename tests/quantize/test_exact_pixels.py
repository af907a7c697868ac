"""The first convolution on pixels that its INT8 quantizer does not round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from typed_graphs import HEIGHT, INT8, WIDTH, frame

from edgeseg.calibration.ranges import Range
from edgeseg.quantize.exact_pixels import CENTERED, can_be_exact, center_pixels_exactly
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import RECIPES, Recipe
from edgeseg.quantize.taps import find_taps
from edgeseg.quantize.targets.openvino import quantize_openvino
from edgeseg.quantize.targets.tensorrt.graph import to_typed
from edgeseg.segformer.groups import Group


def make_first(
    height: int, width: int, mean: np.ndarray, *, kernel: int, stride: int
) -> onnx.ModelProto:
    """A graph as an export begins it, up to the first convolution; ONNX itself is the oracle."""
    random = np.random.default_rng(0)
    channels = len(mean)
    pad = kernel // 2
    weights = {
        "preprocess.mean": mean.astype(np.float32).reshape(1, -1, 1, 1),
        "weight": random.normal(0, 0.02, (4, channels, kernel, kernel)).astype(np.float32),
        "bias": random.normal(0, 1, 4).astype(np.float32),
    }
    cast, image = "preprocess.cast", "preprocess.to_image"
    nodes = [
        helper.make_node("Cast", ["image"], [cast], name=cast, to=TensorProto.FLOAT),
        helper.make_node("Transpose", [cast], [image], name=image, perm=[0, 3, 1, 2]),
        helper.make_node("Sub", [image, "preprocess.mean"], [CENTERED], name=CENTERED),
        helper.make_node(
            "Conv",
            [CENTERED, "weight", "bias"],
            ["logits"],
            name="stage1.patch_embed",
            pads=[pad] * 4,
            strides=[stride] * 2,
        ),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.UINT8, (1, height, width, channels))
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "first", [given], [out], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def run(model: onnx.ModelProto, image: np.ndarray, output: str = "logits") -> np.ndarray:
    copy = onnx.shape_inference.infer_shapes(model)
    values = {value.name: value for value in copy.graph.value_info}
    if output != "logits":
        copy.graph.output.append(values[output])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: np.ndarray = session.run([output], {"image": image})[0]
    return found


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(7, 40), st.integers(7, 40)),
    channels=st.sampled_from([1, 3, 5]),
    shape=st.sampled_from([(7, 4), (7, 2), (3, 2), (3, 1)]),
    joins=st.booleans(),
    seed=st.integers(0, 999),
)
def test_with_whole_means_the_convolution_is_the_same_everywhere(
    size: tuple[int, int], channels: int, shape: tuple[int, int], joins: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    mean = random.integers(90, 150, channels).astype(np.float64)
    kernel, stride = shape
    model = make_first(*size, mean, kernel=kernel, stride=stride)
    image = random.integers(0, 256, (1, *size, channels), np.uint8)
    made = center_pixels_exactly(model, joins_pixels=joins)
    onnx.checker.check_model(made, full_check=True)
    expected = run(model, image)
    np.testing.assert_allclose(run(made, image), expected, atol=2e-4, rtol=1e-4)


def test_a_mean_that_no_pixel_can_have_is_left_to_the_quantizer() -> None:
    recipe = RECIPES["int8-full"]
    for mean, can in (([0, 128, 255], True), ([0, 128, 256], False), ([-1, 128, 255], False)):
        model = make_first(36, 48, np.array(mean, np.float64), kernel=7, stride=4)
        assert can_be_exact(model, recipe) is can
        assert not can_be_exact(model, RECIPES["int8-inner"])


@pytest.mark.parametrize("joins", [True, False])
def test_with_other_means_only_the_border_differs_and_hardly(joins: bool) -> None:
    mean = np.array([103.53, 116.28, 123.675])  # of ImageNet, blue first
    model = make_first(36, 48, mean, kernel=7, stride=4)
    image = np.random.default_rng(1).integers(0, 256, (1, 36, 48, 3), np.uint8)
    expected = run(model, image)
    off = np.abs(run(center_pixels_exactly(model, joins_pixels=joins), image) - expected)
    assert off[:, :, 1:, 1:].max() < 1e-3
    # Of 49 taps at most 33 lie outside, and half a level is the most that each is off.
    assert 0 < off.max() < 33 * 3 * 0.5 * 0.02 * 3


def centered(model: onnx.ModelProto) -> str:
    """What the first convolution sees, behind its quantizer."""
    first = next(node for node in model.graph.node if node.name == "stage1.patch_embed")
    return str(first.input[0])


def draw_levels() -> np.ndarray:
    """An image with every level in every channel."""
    image = frame(3).copy()
    for channel in range(image.shape[3]):
        image[0, 5:7, :, channel] = np.arange(2 * WIDTH).reshape(2, WIDTH) % 256
    return image


def covers(model: onnx.ModelProto) -> dict[str, Range]:
    return {tap.name: Range(-20.0, 20.0) for tap in find_taps(model)}


def test_the_quantizers_of_onnx_runtime_and_tensorrt_round_no_pixel(
    seeded_graph: onnx.ModelProto,
) -> None:
    image = draw_levels()
    ranges = covers(seeded_graph)
    largest = {name: found.high for name, found in ranges.items()}
    for made in (
        to_qdq(seeded_graph, RECIPES["int8-full"], ranges),
        to_typed(seeded_graph, INT8, largest=largest),
    ):
        (seen,) = run(made, image, centered(made)).astype(np.float64)
        expected = image[0].transpose(2, 0, 1).astype(np.float64) - 128
        np.testing.assert_array_equal(seen[:, 3:, 3:], expected)
        mean = next(w for w in seeded_graph.graph.initializer if w.name == "preprocess.mean")
        border = np.rint(numpy_helper.to_array(mean).ravel()) - 128
        np.testing.assert_array_equal(seen[:, :3, :3], border[:, None, None] + np.zeros((3, 3, 3)))


def test_where_the_first_convolution_is_float_nothing_is_added(
    seeded_graph: onnx.ModelProto,
) -> None:
    made = to_qdq(seeded_graph, RECIPES["int8-inner"], covers(seeded_graph))
    names = {node.name for node in made.graph.node if node.name.startswith("preprocess.")}
    assert names == {"preprocess.cast", "preprocess.to_image", CENTERED}


def test_nncf_rounds_no_pixel_and_leaves_no_file(
    seeded_graph: onnx.ModelProto, tmp_path: Path
) -> None:
    # In dim light: NNCF must cover white all the same.
    frames = [lambda seed=seed: frame(seed) // 2 for seed in range(4)]
    recipe = Recipe(name="first", int8=frozenset({Group("stage1", "patch_embed")}))
    quantize_openvino(seeded_graph, tmp_path / "int8.xml", recipe, frames)
    assert {p.name for p in tmp_path.iterdir()} == {"int8.xml", "int8.bin"}
    model = openvino.Core().read_model(tmp_path / "int8.xml")
    named = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
    quantizers = [
        op
        for op in named.values()
        if op.get_type_name() == "FakeQuantize"
        and op.input_value(0).get_node().get_friendly_name() == CENTERED
    ]
    assert len(quantizers) == 1
    ends = [float(np.array(quantizers[0].input_value(i).get_node().data).item()) for i in (1, 2)]
    assert ends == [-128.0, 127.0]
    assert model.inputs[0].shape[1] == HEIGHT
