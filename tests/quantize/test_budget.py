"""A search's minutes: what is reserved, what is counted, and what it does with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search_limits import export

from edgeseg.deploy import job as job_module
from edgeseg.deploy.request import ExportRequest
from edgeseg.pixels import Frame, Logits
from edgeseg.quantize import budget as budget_module
from edgeseg.quantize.budget import MARGIN, Budget, Pace, UsedUp
from edgeseg.runtime.backends.backend import Backend


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


def test_what_has_a_time_of_its_own_takes_none_of_the_budget(clock: list[float]) -> None:
    budget = Budget(60)
    clock[0] += 20
    with budget.stop_clock(), budget.spending("recovering"):
        clock[0] += 300
    assert budget.left == 40
    clock[0] += 5
    assert budget.line == "the search took 0:25 of the 1:00 minutes of --budget: recovering 5:00"


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


def test_a_slow_image_does_not_make_the_others_look_slow() -> None:
    budget = Budget(60)
    assert budget.estimate(["fp32"], 10) == 0  # nothing is known
    budget.note_pace("fp32", Pace.of(once_s=2, images_s=[1, 1, 100, 1]))
    assert budget.estimate(["fp32", "fp32"], 10) == MARGIN * 2 * (2 + 10)
    budget.note_pace("bf16", Pace.of(once_s=1, images_s=[0.5, 0.5, 0.5]))
    assert budget.estimate(["bf16"], 10) == MARGIN * (1 + 5)
    assert budget.estimate(["unknown"], 10) == MARGIN * (2 + 10)


class SlowOnce:
    """An engine whose every image takes a second of a pretended clock, but one takes a hundred."""

    def __init__(self, backend: Backend, clock: list[float], left: list[int]) -> None:
        self._backend, self._clock, self._left = backend, clock, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def infer(self, frame: Frame, /) -> Logits:
        self._left[0] -= 1
        self._clock[0] += 100 if self._left[0] == 0 else 1
        return self._backend.infer(frame)


@pytest.mark.parametrize("slow", [2, 8])
def test_one_slow_image_does_not_stop_a_search(
    request_: ExportRequest, clock: list[float], monkeypatch: pytest.MonkeyPatch, slow: int
) -> None:
    """The second inference is of the plan, the eighth of FP32 on the search half."""
    opened, left = job_module.open_to_prove, [slow]

    def open_slow(target: str, path: Path, compute: str, **options: Any) -> Any:
        return SlowOnce(opened(target, path, compute, **options), clock, left)

    monkeypatch.setattr(job_module, "open_to_prove", open_slow)
    bundle, lines = export(replace(request_, precision="auto", budget_s=420))
    assert left[0] < 0
    assert not any("budget used up" in line for line in lines)
    assert {one.precision for one in bundle.manifest.variants} == {"fp32", "int8"}
    assert any(line.startswith("the search took ") and "of the 7:00" in line for line in lines)
