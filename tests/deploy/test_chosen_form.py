"""The form that an export chooses: why, kept for the next export, and left where INT8 misses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from search_limits import export

from edgeseg.accuracy.gates import Judged
from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.manifest import Accuracy
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import BundleError
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.search import Candidate, Search, Trial, measure_once
from edgeseg.quantize.targets.onnxruntime import OrtQuantizer
from edgeseg.segformer.form import FORMS

CAREFUL, BOLD = FORMS["merge-queries"], FORMS["merge-queries-keys12"]


@pytest.fixture
def request_(request_: ExportRequest, monkeypatch: pytest.MonkeyPatch) -> ExportRequest:
    """Between two forms; no timing of the test's machine decides."""
    monkeypatch.setattr("edgeseg.quantize.judging.measure_speed", lambda *_: (2.0, 10.0))
    forms = {form.name: form for form in (CAREFUL, BOLD)}
    monkeypatch.setattr("edgeseg.deploy.forms.FORMS", forms)
    limits = Limits(max_drop=99, max_class_drop=None)
    return replace(request_, limits=limits, form=None)


def pretend_speeds(speeds: Mapping[str, float]) -> Callable[[Search, Sequence[Trial]], list[Trial]]:
    """Time forms as these speeds say."""

    def sort_by_speed(_search: Search, trials: Sequence[Trial]) -> list[Trial]:
        return [replace(trial, speedup=speeds[trial.candidate.form.name]) for trial in trials]

    return sort_by_speed


def test_why_the_exact_network_is_taken(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(job: Search, candidate: Candidate, meter: Meter, half: str) -> Accuracy:
        found = measure_once(job, candidate, meter, half)
        good = candidate.form != BOLD
        return msgspec.structs.replace(found, pixel_agreement=99.0 if good else 12.5)

    monkeypatch.setattr("edgeseg.quantize.search.measure_once", measure)
    speeds = pretend_speeds({CAREFUL.name: 1.02, BOLD.name: 2})
    monkeypatch.setattr("edgeseg.deploy.forms.sort_by_speed", speeds)
    limits = Limits(max_drop=None, max_class_drop=None, min_agreement=50)
    request = replace(request_, limits=limits, precision="fp32", calibration=None)
    bundle, lines = export(request)
    assert bundle.chosen.form is None
    assert (
        "form exact: merge-queries-keys12 missed on the guiding half: pixel agreement 12.500 "
        "(limit 50.000); merge-queries was no faster (1.02x FP32, and 3% count as equal)"
    ) in lines
    for name in (CAREFUL.name, BOLD.name):
        assert sum(line.startswith(f"graph of form {name} written: ") for line in lines) == 1
        assert sum(line.startswith(f"parity of form {name} with PyTorch: ") for line in lines) == 1


def test_a_resumed_export_goes_on_with_the_form_that_was_chosen(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first export breaks off as soon as it makes INT8; then another form seems faster."""

    def broken(_self: OrtQuantizer, _recipe: Recipe, _path: Path) -> None:
        raise BundleError("no space left")

    speeds = pretend_speeds({CAREFUL.name: 1.5, BOLD.name: 2})
    monkeypatch.setattr("edgeseg.deploy.forms.sort_by_speed", speeds)
    with monkeypatch.context() as patch, pytest.raises(BundleError):
        patch.setattr(OrtQuantizer, "make", broken)
        export(request_)
    speeds = pretend_speeds({CAREFUL.name: 2, BOLD.name: 1.5})
    monkeypatch.setattr("edgeseg.deploy.forms.sort_by_speed", speeds)
    bundle, lines = export(request_)
    assert bundle.chosen.name == f"{BOLD.name}+int8-linear"
    said = "chosen in an earlier export of the same model, data and limits"
    assert any(line.startswith(f"{said}: form {BOLD.name}: ") for line in lines)
    assert not any(line.startswith("forms of the network to try") for line in lines)
    # Under other limits it is another choice.
    bundle, lines = export(replace(request_, limits=Limits(max_drop=98, max_class_drop=None)))
    assert bundle.chosen.name == f"{CAREFUL.name}+int8-linear"
    assert not any(said in line for line in lines)


def test_a_choice_that_the_budget_cut_short_is_not_kept(
    request_: ExportRequest, tmp_path: Path
) -> None:
    export(replace(request_, precision="fp32", calibration=None, budget_s=0))
    assert not list((tmp_path / "cache").rglob("chosen_form_*.json"))


def test_more_careful_forms_are_tried_before_the_exact_network(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INT8 of the bold form misses, and that of the careful one passes."""
    speeds = pretend_speeds({CAREFUL.name: 1.5, BOLD.name: 2})
    monkeypatch.setattr("edgeseg.deploy.forms.sort_by_speed", speeds)
    monkeypatch.setattr("edgeseg.quantize.search._can_shrink", lambda _made: False)

    def measure(job: Search, candidate: Candidate, meter: Meter, half: str) -> Accuracy:
        found = measure_once(job, candidate, meter, half)
        bad = candidate.precision == "int8" and candidate.form == BOLD
        return msgspec.structs.replace(found, pixel_agreement=10.0 if bad else 99.0)

    for module in ("search", "judging"):
        monkeypatch.setattr(f"edgeseg.quantize.{module}.measure_once", measure)
    limits = Limits(max_drop=None, max_class_drop=None, min_agreement=50)
    monkeypatch.setattr("edgeseg.deploy.ship.judge_accuracy", lambda *_: Judged())
    bundle, lines = export(replace(request_, limits=limits))
    assert f"no INT8 of form {BOLD.name} passed: trying that of form {CAREFUL.name}" in lines
    assert not any("trying that of the exact network" in line for line in lines)
    assert bundle.chosen.name == f"{CAREFUL.name}+int8-linear"
