from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.accuracy.gates import Judged, at_least, at_most, judge, make_worst_gates
from edgeseg.accuracy.limits import LIMITS, Limits
from edgeseg.errors import SpecError


@pytest.mark.parametrize(
    ("value", "limit", "most", "least"),
    [
        (1.0, 1.0, True, True),
        (1.1, 1.0, False, True),
        (0.9, 1.0, True, False),
        (float("nan"), 1.0, False, False),
        (-3.0, 1.0, True, False),
    ],
)
def test_a_gate_passes_up_to_its_limit(value: float, limit: float, most: bool, least: bool) -> None:
    assert at_most("x", value, limit, key="k").passed is most
    assert at_least("x", value, limit, key="k").passed is least


def test_every_class_that_lost_too_much_is_a_gate_the_worst_first() -> None:
    drops = {"Sky": 0.1, "Car": 7.0, "Pole": 9.0, "Tree": 5.0}
    judged = judge(Limits(), drop=0.5, class_drops=drops, agreement=99.0)
    assert [gate.name for gate in judged.misses] == [
        "class IoU drop (Pole)",
        "class IoU drop (Car)",
    ]
    fewer = {"Sky": 0.1, "Tree": 5.0}
    judged = judge(Limits(), drop=0.5, class_drops=fewer, agreement=99.0)
    assert [gate.name for gate in judged.gates] == ["mIoU drop", "class IoU drop (Tree)"]
    assert judged.passed


@given(st.dictionaries(st.text(max_size=3), st.floats(-100, 100), max_size=6), st.floats(0, 100))
def test_no_miss_is_left_out(values: dict[str, float], limit: float) -> None:
    gates = make_worst_gates("max_class_drop", values, limit)
    assert sum(not gate.passed for gate in gates) == sum(value > limit for value in values.values())
    assert bool(gates) == bool(values)
    assert len([gate for gate in gates if gate.passed]) <= 1


def test_without_ground_truth_agreement_decides() -> None:
    (gate,) = judge(Limits(), drop=None, class_drops={}, agreement=96.9).gates
    assert (gate.name, gate.limit, gate.passed) == ("pixel agreement", 97.0, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_drop", -0.1),
        ("min_agreement", 101),
        ("max_size_mb", 0),
        ("max_latency_ratio", -1),
        *((name, value) for name in LIMITS for value in (math.inf, math.nan)),
    ],
)
def test_limits_that_no_measurement_could_have_are_refused(name: str, value: float) -> None:
    with pytest.raises(SpecError, match=f"{name} .*got {value:g}"):
        Limits(**{name: value})


def test_a_limit_on_classes_that_sees_none_is_no_pass_unless_it_allows_everything() -> None:
    judged = judge(Limits(), drop=0.0, class_drops={}, agreement=100.0, rare="Car in 3 images")
    (one,) = judged.unjudged
    assert (judged.passed, one.name) == (False, "class IoU drop")
    assert "(Car in 3 images)" in one.told
    assert "--max-class-drop 100" in one.told
    for limit in (100.0, None):
        assert judge(Limits(max_class_drop=limit), drop=0.0, class_drops={}, agreement=100.0).passed


def test_what_has_nothing_to_judge_has_not_passed() -> None:
    assert Judged().passed is None
    off = Limits(max_drop=None, max_class_drop=None)
    assert judge(off, drop=0.0, class_drops={}, agreement=100.0) == Judged()
