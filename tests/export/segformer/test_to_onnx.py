from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from seeded import model_spec, normalized, random_image, seeded_model, transformers_model, twin_of

from edgeseg.export.graph import IR_VERSION, OPSET
from edgeseg.export.segformer.network import SegFormer
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.segformer.arch import VARIANTS, HeadKind, Role
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

SIZES = ((512, 512), (360, 480), (512, 1024), (64, 64), (97, 131))
# B3, B4 and B5 differ from B2 in the number of blocks alone; test_network.py has them.
SHORT = {("b0", (360, 480)), ("b0", (64, 64))} | {
    (variant, (97, 131)) for variant in ("b0", "b1", "b2")
}
CASES = [
    pytest.param(
        variant,
        size,
        id=f"{variant}-{size[0]}x{size[1]}",
        marks=() if (variant, size) in SHORT else (pytest.mark.long,),
    )
    for variant in VARIANTS
    for size in SIZES
]


@pytest.mark.parametrize(("variant", "size"), CASES)
def test_the_graph_equals_transformers(variant: str, size: tuple[int, int]) -> None:
    oracle = transformers_model(variant)
    image = random_image(*size)
    expected = oracle(normalized(image, torch.float32)).logits.numpy()
    found = _run(_export(twin_of(oracle), size), image)
    assert expected.std() >= 1
    assert np.abs(found - expected).max() / expected.std() < 1e-4


@pytest.mark.parametrize("size", [(64, 64), (97, 131), (360, 480)], ids=str)
def test_the_graph_equals_the_network_with_mmsegmentations_head(size: tuple[int, int]) -> None:
    model = seeded_model(model_spec("b0", head=HeadKind.CONV))
    image = random_image(*size)
    expected = model(normalized(image, torch.float32)).numpy()
    found = _run(_export(model, size), image)
    assert np.abs(found - expected).max() / expected.std() < 1e-4


def test_constants_of_the_graph_are_exact() -> None:
    """float32 noise hides a GELU whose root is off by a ten-thousandth; its digits do not."""
    graph = _export(seeded_model(model_spec("b0")), (64, 64)).graph
    values = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    prefix = "stage3.block1.gelu"
    assert values[f"{prefix}.root"] == np.float32(2**0.5)
    assert (values[f"{prefix}.one"], values[f"{prefix}.half"]) == (1, 0.5)


@pytest.mark.parametrize("head", HeadKind)
def test_the_graph_suits_the_oldest_readers(head: HeadKind) -> None:
    graph = _export(seeded_model(model_spec("b0", head=head)), (96, 128))
    onnx.checker.check_model(graph, full_check=True)
    assert graph.opset_import[0].version == OPSET <= 20
    assert len(graph.opset_import) == 1  # no operator of a vendor's own
    assert graph.ir_version == IR_VERSION <= 10
    (image,) = graph.graph.input
    (logits,) = graph.graph.output
    assert (image.name, _shape(image)) == ("image", [1, 96, 128, 3])
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert (logits.name, _shape(logits)) == ("logits", [1, 19, 24, 32])
    assert all(dim > 0 for value in graph.graph.value_info for dim in _shape(value))


def test_only_a_cast_touches_the_bytes() -> None:
    graph = _export(seeded_model(model_spec("b0")), (64, 64)).graph
    assert [node.op_type for node in graph.node if "image" in node.input] == ["Cast"]


def test_every_node_that_multiplies_is_named_by_stage_and_role() -> None:
    graph = _export(seeded_model(model_spec("b0")), (64, 64)).graph
    roles = Counter(
        node.name.rsplit(".", 1)[1]
        for node in graph.node
        if node.op_type in {"Conv", "Gemm", "MatMul"}
    )
    assert roles == {
        Role.PATCH_EMBED.value: 4,
        Role.SR_CONV.value: 6,  # none in the last stage
        **dict.fromkeys(("q", "kv", "scores", "values", "attn_out"), 8),
        **dict.fromkeys(("ffn_in", "dwconv", "ffn_out"), 8),
        Role.HEAD_PROJ.value: 4,
        Role.CLASSIFIER.value: 1,
    }
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert {"stage1.block0.q", "stage3.block1.scores", "head.classifier"} <= set(names)


def test_names_do_not_depend_on_size_or_weights() -> None:
    first = _export(seeded_model(model_spec("b0"), seed=0), (64, 64)).graph
    second = _export(seeded_model(model_spec("b0"), seed=1), (128, 96)).graph
    assert [node.name for node in first.node] == [node.name for node in second.node]


@pytest.mark.parametrize("head", HeadKind)
def test_the_nodes_are_those_of_the_golden_file(head: HeadKind, golden) -> None:
    """Names, operators and shapes; whoever changes them sees what else changes."""
    graph = _export(seeded_model(model_spec("b0", head=head)), (64, 96)).graph
    shapes = {value.name: _shape(value) for value in (*graph.value_info, *graph.output)}
    lines = [
        f"{node.op_type:<18} {shapes[node.output[0]]!s:<20} {node.name}" for node in graph.node
    ]
    golden(f"nodes_b0_{head.value}.txt", "\n".join(lines) + "\n")


def test_exporting_twice_gives_the_same_bytes() -> None:
    model = seeded_model(model_spec("b0"))
    assert (
        _export(model, (64, 96)).SerializeToString() == _export(model, (64, 96)).SerializeToString()
    )


def _export(model: SegFormer, size: tuple[int, int]) -> onnx.ModelProto:
    deployed = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return to_onnx(deployed, height=size[0], width=size[1])


def _run(graph: onnx.ModelProto, image: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"image": image.numpy()})[0]


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]
