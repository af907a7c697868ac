"""The plan that an export prints: what will be tried, and how long that takes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from edgeseg.deploy.candidates import list_recipes
from edgeseg.deploy.plan import describe_plan
from edgeseg.deploy.request import ExportRequest
from edgeseg.quantize.budget import Pace
from edgeseg.quantize.recipes import RECIPES, Recipe
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.segformer.form import EXACT
from edgeseg.segformer.groups import Group


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("onnxruntime", ["int8-conv", "int8-inner", "int8-linear", "int8-no-softmax", "int8-full"]),
        ("openvino", ["int8-conv", "int8-inner", "int8-linear", "int8-no-softmax", "int8-full"]),
        # TensorRT leaves both products of attention in float.
        ("jetson", ["int8-conv", "int8-inner", "int8-linear"]),
    ],
)
def test_recipes_that_a_target_makes_equal_count_once(target: str, names: list[str]) -> None:
    request = ExportRequest(weights="unread", target=target)
    recipes = list_recipes(request)
    assert [recipe.name for recipe in recipes] == names
    assert len({recipe.digest for recipe in recipes}) == len(names)
    roles = {group.role for recipe in recipes for group in recipe.int8}
    assert roles <= load_maker(target).ROLES


def test_a_recipe_without_anything_that_the_target_does_is_not_counted() -> None:
    values = Recipe(name="values", int8=frozenset({Group("stage1", "values")}))
    given = (values, RECIPES["int8-linear"])
    request = ExportRequest(weights="unread", target="jetson", recipes=given)
    assert [recipe.name for recipe in list_recipes(request)] == ["int8-linear"]
    assert len(list_recipes(replace(request, target="openvino"))) == 2


@pytest.mark.parametrize(
    ("target", "timed", "what", "minutes"),
    [
        # 60 images calibrate: 126 inferences. Masks, FP32 and 5 recipes on 10 images: 70; masks,
        # FP32 and INT8 twice on 10: 50; 6 variants in 46 turns of a second and a pause: 284.
        ("onnxruntime", True, "5 INT8 recipes", "8:50"),
        # 5 recipes take 138 inferences and 4.6 seconds each: 713. The rest is as above.
        ("openvino", True, "5 INT8 recipes", "18:37"),
        # 138 inferences calibrate. Masks, FP32, FP16 and 3 recipes: 60; FP32, FP16 and INT8: 70.
        ("jetson", False, "3 INT8 recipes", "4:28"),
    ],
)
def test_the_plan_knows_what_each_target_takes(
    monkeypatch: pytest.MonkeyPatch, target: str, timed: bool, what: str, minutes: str
) -> None:
    monkeypatch.setattr("edgeseg.deploy.plan.ROUNDS", 20)  # tests time fewer
    monkeypatch.setattr("edgeseg.deploy.plan.WARM_UP", 3)
    request = ExportRequest(weights="unread", target=target, precision="auto", form=EXACT)
    half = SimpleNamespace(images=range(10))
    search: Any = SimpleNamespace(
        recipes=list_recipes(request),
        floats=["fp32"],
        timed=timed,
        search_half=half,
        gate_half=half,
    )
    data: Any = SimpleNamespace(calibration=SimpleNamespace(pictures=range(60)))
    job: Any = SimpleNamespace(request=request)
    line = describe_plan(job, search, data, Pace(once_s=0, image_s=1))
    assert line.startswith(f"to try: {what}; about {minutes} of the 20:00 minutes of --budget, if ")
