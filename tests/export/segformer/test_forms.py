"""Forms of the network: what they compute, as modules and as graphs, and what they cost."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
from plain_forms import plain_logits
from seeded import model_spec, normalized, random_image, seeded_model

from edgeseg.errors import SpecError
from edgeseg.export.graph import OPSET
from edgeseg.export.segformer.merging import average_tokens, spread_tokens
from edgeseg.export.segformer.network import SegFormer
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.segformer.arch import VARIANTS, HeadKind
from edgeseg.segformer.form import EXACT, FORMS, Form, HeadForm
from edgeseg.segformer.groups import GROUPS, find_group
from edgeseg.segformer.macs import count_costs
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    import onnx

# 97x131 has maps of 25x33, 13x17, 7x9 and 4x5; 90x120 of 23x30, 12x15, 6x8 and 3x4. No map of
# 128x128 is odd, not even a reduced one.
EVEN = (128, 128)
SMALL = ((96, 128), (97, 131), (90, 120))
LARGE = ((360, 480), (512, 512), (512, 1024), (1024, 2048))
BOLDEST = FORMS["merge-queries-keys12"]
ODDEST = Form(
    name="every key, no query but stage 3's", queries=frozenset({3}), keys=frozenset({1, 2, 3, 4})
)
COARSE = Form(name="head at stride 8", keys=frozenset({3}), head=HeadForm.STRIDE_8)
CASES = [
    pytest.param("b0", size, form, id=f"b0-{size[0]}x{size[1]}-{form.name}")
    for size in SMALL
    for form in (*FORMS.values(), ODDEST, COARSE)
] + [
    pytest.param(
        variant, size, form, id=f"{variant}-{size[0]}x{size[1]}-{form.name}", marks=pytest.mark.long
    )
    for variant in VARIANTS
    for size in ((97, 131), *LARGE)
    if not (variant == "b0" and size in SMALL)
    for form in list(FORMS.values())[1:]
    # The largest size takes minutes in float64, so that one form stands for all there.
    if variant == "b0" or size != LARGE[-1] or form is BOLDEST
]


@pytest.mark.parametrize("head", HeadKind)
@pytest.mark.parametrize(("variant", "size", "form"), CASES)
def test_a_form_equals_its_plain_spelling(
    variant: str, size: tuple[int, int], form: Form, head: HeadKind
) -> None:
    model = seeded_model(model_spec(variant, head=head)).double()
    for parameter in model.parameters():  # so that float32 would not hold them
        parameter.mul_(1 + 1e-8)
    deployed = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=form)
    image = random_image(*size)
    expected = plain_logits(model, normalized(image), form)
    assert expected.std() >= 1
    assert (deployed(image) - expected).abs().max() / expected.std() < 1e-9


def test_every_part_of_a_form_is_seen() -> None:
    """No two forms agree, so that a part that is left out would be noticed."""
    model = seeded_model(model_spec("b0")).double()
    image = normalized(random_image(97, 131))
    forms = [
        EXACT,
        *(Form(name="q", queries=frozenset({stage})) for stage in range(1, 5)),
        *(Form(name="kv", keys=frozenset({stage})) for stage in range(1, 5)),
        Form(name="head", head=HeadForm.CASCADE),
        Form(name="head", head=HeadForm.STRIDE_8),
    ]
    found = [plain_logits(model, image, form) for form in forms]
    for index, one in enumerate(found):
        assert all((one - other).abs().max() > 1e-3 for other in found[:index])


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (4, 7), (5, 7), (1, 1), (1, 4)], ids=str)
def test_averages_are_of_what_is_there(size: tuple[int, int]) -> None:
    height, width = size
    tokens = torch.arange(height * width * 2, dtype=torch.float64).reshape(1, height * width, 2)
    grid = tokens.reshape(height, width, 2)
    averages = [
        grid[row : row + 2, column : column + 2].reshape(-1, 2).mean(dim=0)
        for row in range(0, height, 2)
        for column in range(0, width, 2)
    ]
    found = average_tokens(tokens, size)
    torch.testing.assert_close(found[0], torch.stack(averages))
    spread = spread_tokens(found, size).reshape(height, width, 2)
    half = math.ceil(width / 2)
    for row in range(height):
        for column in range(width):
            assert torch.equal(spread[row, column], found[0, row // 2 * half + column // 2])


@pytest.mark.parametrize(
    ("form", "size", "head"),
    [
        *(
            (form, size, HeadKind.LINEAR)
            for form in (*FORMS.values(), ODDEST, COARSE)
            for size in (EVEN, (97, 131), (90, 120))
        ),
        (BOLDEST, (90, 120), HeadKind.CONV),
        (COARSE, (97, 131), HeadKind.CONV),
    ],
    ids=lambda one: getattr(one, "name", str(one)),
)
def test_the_graph_equals_the_module(form: Form, size: tuple[int, int], head: HeadKind) -> None:
    model = seeded_model(model_spec("b0", head=head))
    deployed = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=form)
    image = random_image(*size)
    expected = deployed(image).numpy()
    found = _run(to_onnx(deployed, height=size[0], width=size[1]), image)
    assert np.abs(found - expected).max() / expected.std() < 1e-4


@pytest.mark.parametrize("opset", [17, 18, 19, 20])
def test_every_opset_computes_the_same(opset: int) -> None:
    model = seeded_model(model_spec("b0"))
    image = random_image(97, 131)
    expected = _run(_export(model, (97, 131), BOLDEST), image)
    graph = _export(model, (97, 131), BOLDEST, opset)
    assert graph.opset_import[0].version == opset
    assert np.abs(_run(graph, image) - expected).max() / expected.std() < 1e-5


@pytest.mark.parametrize("size", [EVEN, (97, 131)], ids=str)
def test_merging_adds_plain_static_operators_only(size: tuple[int, int]) -> None:
    model = seeded_model(model_spec("b0"))
    exact, merged = (_export(model, size, form).graph for form in (EXACT, BOLDEST))
    added = {node.op_type for node in merged.node} - {node.op_type for node in exact.node}
    assert added <= {"ReduceMean", "Expand", "Concat"}
    assert ("Concat" in added) == (size != EVEN)
    for value in merged.value_info:
        assert all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim), value.name


def test_every_group_is_found_in_a_merged_graph() -> None:
    model = seeded_model(model_spec("b0"))
    exact, merged = (_export(model, (97, 131), form).graph for form in (EXACT, BOLDEST))
    names = [node.name for node in merged.node]
    assert len(set(names)) == len(names)
    grouped = {node.name: node.op_type for node in merged.node if find_group(node.name)}
    assert grouped == {node.name: node.op_type for node in exact.node if find_group(node.name)}
    # The last stage has no reduction.
    assert {find_group(name) for name in grouped} == {
        group for group in GROUPS if group.name != "stage4.sr_conv"
    }


@pytest.mark.parametrize(
    ("strides", "patches"),
    [((4, 1, 2, 2), (7, 3, 3, 3)), ((4, 2, 2, 2), (7, 4, 3, 3)), ((2, 2, 2, 2), (7, 3, 3, 3))],
)
def test_a_head_at_stride_8_needs_a_second_stage_of_half_the_size(
    strides: tuple[int, ...], patches: tuple[int, ...]
) -> None:
    spec = model_spec("b0")
    spec = replace(spec, encoder=replace(spec.encoder, strides=strides, patch_sizes=patches))
    with pytest.raises(SpecError, match="needs a first stage at stride 4 and a second one of half"):
        rewrite(SegFormer(spec), mean=IMAGENET_MEAN, std=IMAGENET_STD, form=COARSE)


def test_the_nodes_are_those_of_the_golden_file(golden) -> None:
    """As for the exact graph; at a size whose maps are partly odd."""
    graph = _export(seeded_model(model_spec("b0")), (90, 120), BOLDEST).graph
    shapes = _find_shapes(graph)
    lines = [
        f"{node.op_type:<18} {shapes[node.output[0]]!s:<20} {node.name}" for node in graph.node
    ]
    golden("nodes_b0_merge-queries-keys12.txt", "\n".join(lines) + "\n")


def test_without_a_form_the_graph_is_the_exact_one() -> None:
    model = seeded_model(model_spec("b0"))
    deployed = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    plain = to_onnx(deployed, height=90, width=120).SerializeToString()
    assert _export(model, (90, 120), EXACT).SerializeToString() == plain


@pytest.mark.parametrize(
    ("form", "size", "head"),
    [
        *((form, (97, 131), HeadKind.LINEAR) for form in (*FORMS.values(), ODDEST, COARSE)),
        (BOLDEST, (360, 480), HeadKind.LINEAR),
        (BOLDEST, EVEN, HeadKind.CONV),
        (COARSE, (90, 120), HeadKind.CONV),
    ],
    ids=lambda one: getattr(one, "name", str(one)),
)
def test_macs_equal_what_the_nodes_execute(
    form: Form, size: tuple[int, int], head: HeadKind
) -> None:
    spec = model_spec("b0", head=head)
    graph = _export(SegFormer(spec), size, form).graph
    counted = count_costs(spec, height=size[0], width=size[1], form=form)
    assert counted.macs == _count_executed(graph)
    exact = count_costs(spec, height=size[0], width=size[1])
    assert (counted.macs < exact.macs) == (form is not EXACT)
    assert counted.macs_original == exact.macs_original


def _export(
    model: SegFormer, size: tuple[int, int], form: Form, opset: int = OPSET
) -> onnx.ModelProto:
    deployed = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=form)
    return to_onnx(deployed, height=size[0], width=size[1], opset=opset)


def _run(graph: onnx.ModelProto, image: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"image": image.numpy()})[0]


def _find_shapes(graph: onnx.GraphProto) -> dict[str, list[int]]:
    return {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }


def _count_executed(graph: onnx.GraphProto) -> int:
    """Multiply-adds of every node that has any, by the shapes in the graph."""
    shapes = _find_shapes(graph) | {w.name: list(w.dims) for w in graph.initializer}
    total = 0
    for node in graph.node:
        made = math.prod(shapes[node.output[0]])
        if node.op_type == "Conv":
            total += made * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in {"Gemm", "MatMul"}:
            total += made * shapes[node.input[0]][-1]
    return total
