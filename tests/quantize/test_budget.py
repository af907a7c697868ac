"""A search's minutes: what is reserved, what is counted, and what it does with them."""

from __future__ import annotations

import pytest

from edgeseg.quantize import budget as budget_module
from edgeseg.quantize.budget import Budget, UsedUp


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(budget_module.time, "monotonic", lambda: now[0])
    return now


def test_what_decides_is_kept_from_what_tries(clock: list[float]) -> None:
    budget = Budget(60)
    budget.reserved = 20
    budget.check()  # nothing is enforced
    with pytest.raises(UsedUp), budget.enforce():
        clock[0] += 39
        budget.check()
        clock[0] += 1
        budget.check()
    budget.check()
    with pytest.raises(UsedUp), budget.enforce():
        pytest.fail("there is no time left")


def test_every_second_is_counted_once(clock: list[float]) -> None:
    budget = Budget(120)
    with budget.spending("measuring"):
        clock[0] += 10
        with budget.spending("making INT8"):
            clock[0] += 70
        clock[0] += 5
    with budget.spending("deciding"):
        clock[0] += 3.4
    assert budget.line == (
        "the search took 1:28 of the 2:00 minutes of --budget: measuring 0:15, "
        "making INT8 1:10, deciding 0:03"
    )


def test_what_took_longer_is_not_said_to_be_within_it(clock: list[float]) -> None:
    budget = Budget(30)
    with budget.spending("measuring"):
        clock[0] += 103
    assert budget.line == (
        "the search took 1:43 minutes, more than the 0:30 of --budget: measuring 1:43"
    )


def test_why_something_was_not_tried_adds_up(clock: list[float]) -> None:
    budget = Budget(30)
    budget.reserved = 50
    clock[0] += 14
    assert budget.explain_shortage(["int8-a", "int8-b"]) == (
        "budget used up: int8-a and int8-b were not tried: 0:14 of the 0:30 minutes of --budget "
        "passed, and 0:50 are kept to decide and confirm; trying more takes over 1:04 minutes"
    )
    assert budget.explain_shortage(["int8-a"]).startswith("budget used up: int8-a was not tried: ")
