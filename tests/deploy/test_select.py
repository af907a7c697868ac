"""Which variant runs, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.manifest import Accuracy
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.request import ExportOptions
from edgeseg.deploy.select import Selection, select
from edgeseg.errors import SpecError
from edgeseg.quantize.recipes import Recipe, read_recipe
from edgeseg.quantize.search import Candidate, Trial


def trial(name: str, speedup: float, agreement: float) -> Trial:
    precision = "int8" if name.startswith("int8") else name
    recipe = Recipe(name=name, int8=frozenset())
    found = Accuracy(images=9, pixel_agreement=agreement, agreement_iou=agreement)
    return Trial(
        candidate=Candidate(
            name=name, precision=precision, compute="f32", recipe=recipe, path=Path(name)
        ),
        int8_share=1.0 if precision == "int8" else 0.0,
        search=found,
        gate=found,
        latency_ms=10 / speedup,
        speedup=speedup,
        approved=True,
        verdict="passed",
    )


def chosen(int8_speedup: float, precision: str = "auto") -> Selection:
    return select(
        [trial("fp32", 1.0, 100), trial("int8-linear", int8_speedup, 98)],
        precision=precision,
        limits=Limits(),
        gate_images=9,
        calibrated=False,
        forms=lambda _candidate: (),
    )


@pytest.mark.parametrize(
    ("speedup", "name"), [(1.01, "fp32"), (1.029, "fp32"), (1.05, "int8-linear"), (0.9, "fp32")]
)
def test_auto_takes_int8_only_where_it_is_measurably_faster(speedup: float, name: str) -> None:
    assert chosen(speedup).chosen.candidate.name == name


def test_the_reason_tells_of_equal_speeds() -> None:
    reason = chosen(1.01).reason
    assert reason.startswith(
        "fp32 is as fast as the fastest of 2 that passed, within 3% (int8-linear, 1.01x), and more"
    )


@pytest.mark.parametrize(
    ("speedup", "ends"),
    [
        (1.01, "; it is no faster than FP32 here, within 3%"),
        (0.87, "; fp32 was faster here (1.00x)"),
        (1.3, "on 9 images"),
    ],
)
def test_int8_that_was_asked_for_is_said_not_to_pay(speedup: float, ends: str) -> None:
    found = chosen(speedup, "int8")
    assert found.chosen.candidate.name == "int8-linear"
    assert found.reason.startswith("int8 was asked for: ")
    assert found.reason.endswith(ends)


def test_what_nobody_asked_for_is_not_said_to_be_asked_for(checkpoint_folder: Path) -> None:
    def request(precision: str):
        return fill_defaults(ExportOptions(weights=str(checkpoint_folder), precision=precision))

    assert "asked" not in request("auto").fp32_reason
    assert request("fp32").fp32_reason == "fp32 was asked for"


@pytest.mark.parametrize("name", ["fp32", "FP16", "bf16", "float", "", "a\nb", 3])
def test_a_recipe_may_not_have_a_float_variants_name(tmp_path: Path, name: object) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"name": name, "int8": ["*.ffn_in"]}))
    with pytest.raises(SpecError, match=r"recipe\.json: .*name"):
        read_recipe(str(path))


def test_a_verdict_does_not_contradict_its_table() -> None:
    """What was timed as faster is told why it is passed over; what was not, needs no more."""
    from edgeseg.quantize.judging import _explain_not_needed

    winner, faster, slower = (trial(f"int8-{s}", s, 98) for s in (1.08, 1.11, 1.02))
    assert _explain_not_needed(faster, winner) == (
        "not needed: int8-1.08 passed, agrees better on the guiding half, and is as fast within 3%"
    )
    assert _explain_not_needed(slower, winner) == "not needed: int8-1.08 passed"
