from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeseg.errors import SpecError
from edgeseg.quantize.recipes import FLOAT, RECIPES, read_recipe
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.reports.draw.sensitivity import draw_sensitivity
from edgeseg.segformer.groups import GROUPS, Group, find_group

if TYPE_CHECKING:
    import onnx


def test_every_node_with_multiply_adds_has_a_group(seeded_graph: onnx.ModelProto) -> None:
    groups = {
        find_group(node.name)
        for node in seeded_graph.graph.node
        if node.op_type in {"Conv", "Gemm", "MatMul"}
    }
    assert None not in groups
    # The last stage has no sequence reduction.
    assert set(GROUPS) - groups == {Group("stage4", "sr_conv")}


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("stage2.block0.scores", "stage2.scores"),
        ("stage1.patch_embed/WithoutBiases", "stage1.patch_embed"),
        ("head.stage3.inner.head_proj", "head.head_proj"),
        ("head.classifier", "head.classifier"),
        ("stage2.block0.softmax", None),
        ("stage5.block0.q", None),
        ("logits", None),
    ],
)
def test_groups_by_name(name: str, group: str | None) -> None:
    found = find_group(name)
    assert (found.name if found else None) == group


def test_named_recipes_go_from_careful_to_bold() -> None:
    sizes = [len(recipe.int8) for recipe in RECIPES.values()]
    assert sizes == sorted(sizes)
    assert list(RECIPES) == [
        *("float", "int8-conv", "int8-inner", "int8-linear", "int8-no-softmax", "int8-full")
    ]
    softmax = {Group(f"stage{i}", "values") for i in range(1, 5)}
    assert RECIPES["int8-full"].int8 - RECIPES["int8-no-softmax"].int8 == softmax
    assert not FLOAT.int8


def test_for_jetson_depth_wise_convolutions_stay_float(tmp_path: Path) -> None:
    """Unless a file asks for them."""
    for name in RECIPES:
        for target, has in (("jetson", False), ("openvino", name != "float")):
            groups = read_recipe(name, named=load_maker(target).RECIPES).int8
            assert any(group.role == "dwconv" for group in groups) == has, (name, target)
    (tmp_path / "mine.json").write_text(json.dumps({"int8": ["*.dwconv"]}))
    mine = read_recipe(str(tmp_path / "mine.json"), named=load_maker("jetson").RECIPES)
    assert len(mine.int8) == 4


def test_a_recipe_is_cut_down_and_named() -> None:
    q, kv = Group("stage1", "q"), Group("stage2", "kv")
    recipe = RECIPES["int8-linear"].without(q, kv)
    assert recipe.name == "int8-linear without stage1.q, stage2.kv"
    many = RECIPES["int8-linear"].without(*GROUPS[:5])
    assert many.name.endswith("stage1.q and 2 more")
    assert RECIPES["int8-linear"].int8 - recipe.int8 == {q, kv}
    same = RECIPES["int8-linear"].without(kv, q)
    assert (same.digest, same.int8) == (recipe.digest, recipe.int8)
    assert recipe.digest != RECIPES["int8-linear"].digest
    only = recipe.only(frozenset({"q"}))
    assert {group.name for group in only.int8} == {"stage2.q", "stage3.q", "stage4.q"}


def test_a_recipe_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"int8": ["*.ffn_in", "stage3.q"]}))
    recipe = read_recipe(str(path))
    assert recipe.name == "mine"
    assert {group.name for group in recipe.int8} == {
        *(f"stage{i}.ffn_in" for i in range(1, 5)),
        "stage3.q",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "has no `int8`"),
        ('{"int8": ["stage9.q"]}', "'stage9.q' fits no group; groups are stage1"),
        ("[", "is not JSON"),
        pytest.param("[" * 200_000, "is not JSON", id="nested without end"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(SpecError, match=says):
        read_recipe(str(path))
    with pytest.raises(
        SpecError, match=r"neither a file \(No such file or directory\) nor one of float"
    ):
        read_recipe("int9")


def test_the_picture_shows_every_cost() -> None:
    svg = draw_sensitivity({"stage1.q": 0.25, "head.classifier": 1.5})
    assert svg.count("<rect") == 3
    assert ">0.25<" in svg
    assert ">1.50<" in svg
