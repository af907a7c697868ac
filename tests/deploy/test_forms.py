"""Forms of the network in an export: judged in FP32 first, then quantized, and always named."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from search_limits import LINEAR, export

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.manifest import Accuracy
from edgeseg.bundle.store import Bundle
from edgeseg.calibration.ranges import Range
from edgeseg.cli.answers.inspect import inspect_anything
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.request import ExportOptions, ExportRequest
from edgeseg.errors import CalibrationError, ExportError, GateMissedError, SpecError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.search import Candidate, Search, measure_once
from edgeseg.segformer.form import EXACT, FORMS, Form, HeadForm
from edgeseg.segformer.macs import count_costs

LENIENT = Limits(max_drop=99, max_class_drop=None)
QUERIES = FORMS["merge-queries"]


@pytest.fixture
def request_(request_: ExportRequest) -> ExportRequest:
    return replace(request_, limits=LENIENT, form=QUERIES)


def _tell(bundle: Bundle, macs: int) -> str:
    cost = f"{macs / 1e9:.2f} G multiply-adds, {100 * macs / bundle.manifest.model.macs:.0f} %"
    return f"form merge-queries: {QUERIES.changes} ({cost} of exact)"


def test_int8_of_a_form_ships_with_the_exact_network_beside_it(request_: ExportRequest) -> None:
    bundle, lines = export(request_)
    assert bundle.chosen.name == "merge-queries+int8-linear"
    form = bundle.chosen.form
    assert form is not None
    assert (form.name, form.queries, form.keys, form.head) == (
        "merge-queries", (1, 2, 3, 4), (), HeadForm.CASCADE,
    )  # fmt: skip
    spec = read_checkpoint(request_.weights).spec
    assert form.macs == count_costs(spec, height=96, width=128, form=QUERIES).macs
    fp32 = next(one for one in bundle.manifest.variants if one.name == "fp32")
    assert fp32.form is None
    assert fp32.gate is not None
    assert fp32.gate.drop == 0  # the truth is the exact network's mask
    assert bundle.chosen.gate is not None
    assert bundle.chosen.gate.pixel_agreement < 100
    nodes = onnx.load(bundle.path(bundle.chosen.file)).graph.node
    assert sum(node.op_type == "ReduceMean" for node in nodes) == sum(spec.encoder.depths)
    assert _tell(bundle, form.macs) in lines
    shown, content = inspect_anything(str(bundle.folder))
    assert any("form merge-queries, " in line for line in shown)
    assert json.loads(json.dumps(content))["variants"]


def test_the_float_file_of_a_form_is_that_of_pytorch(request_: ExportRequest) -> None:
    bundle, _ = export(replace(request_, precision="fp32", calibration=None))
    assert bundle.chosen.name == "merge-queries+fp32"
    assert bundle.chosen.form is not None
    checkpoint = read_checkpoint(request_.weights)
    spec = checkpoint.input
    network = rewrite(checkpoint.model, mean=spec.mean, std=spec.std, form=QUERIES)
    frame = np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3), np.uint8)
    session = onnxruntime.InferenceSession(str(bundle.path(bundle.chosen.file)))
    (found,) = session.run(None, {"image": frame})
    expected = network(torch.from_numpy(frame)).numpy()
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("speedup", [0.5, 1.0])
def test_the_form_that_was_asked_for_runs_even_if_it_is_no_faster(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch, speedup: float
) -> None:
    monkeypatch.setattr("edgeseg.quantize.judging.measure_speed", lambda *_: (speedup, 10.0))
    bundle, _ = export(replace(request_, precision="fp32", calibration=None))
    assert bundle.chosen.name == "merge-queries+fp32"
    assert bundle.chosen.form is not None
    assert "fp32 and form merge-queries were asked for" in str(bundle.manifest)


@pytest.mark.long
def test_auto_takes_the_fastest_that_passes(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What speed decides is decided here: each form is twice as fast as the one before."""
    speeds = {form.name: 2.0**place for place, form in enumerate(FORMS.values())}

    def sort_by_speed(_search: object, trials: list) -> list:
        return [replace(trial, speedup=speeds[trial.candidate.form.name]) for trial in trials]

    monkeypatch.setattr("edgeseg.deploy.forms.sort_by_speed", sort_by_speed)
    request = replace(request_, form=None, recipes=LINEAR)
    bundle, lines = export(request)
    boldest = list(FORMS)[-1]
    assert bundle.chosen.name == f"{boldest}+int8-linear"
    (plan,) = (line for line in lines if line.startswith("forms of the network to try"))
    assert all(name in plan for name in FORMS if name != "exact")


def test_a_form_that_misses_is_not_shipped(request_: ExportRequest, tmp_path: Path) -> None:
    strict = Limits(max_drop=None, max_class_drop=None, min_agreement=100)
    with pytest.raises(GateMissedError, match="form merge-queries missed on the guiding half"):
        export(replace(request_, limits=strict))
    assert not (tmp_path / "bundle").exists()


@pytest.mark.long
def test_auto_takes_the_exact_network_where_no_form_passes(request_: ExportRequest) -> None:
    strict = Limits(max_drop=None, max_class_drop=None, min_agreement=100)
    bundle, lines = export(replace(request_, limits=strict, form=None, precision="auto"))
    assert bundle.chosen.form is None
    (told,) = (line for line in lines if line.startswith("form exact: "))
    reason = r"missed on the guiding half: pixel agreement [\d.]+ \(limit 100\.000\)"
    names = (name for name in FORMS if name != "exact")
    assert re.fullmatch("form exact: " + "; ".join(f"{name} {reason}" for name in names), told)


def test_a_jetson_bundle_of_a_form(request_: ExportRequest) -> None:
    bundle, _ = export(replace(request_, target="jetson"))
    names = {one.name: one.form and one.form.name for one in bundle.manifest.variants}
    assert names["merge-queries+int8-linear"] == "merge-queries"
    assert {name for name, form in names.items() if form} >= {"merge-queries+fp16"}


def test_a_form_is_judged_or_refused(checkpoint_folder: Path) -> None:
    options = ExportOptions(weights=str(checkpoint_folder), precision="fp32", form="merge-queries")
    with pytest.raises(CalibrationError, match="form merge-queries changes what the network comp"):
        fill_defaults(options)
    with pytest.raises(SpecError, match="form nobody is neither a file"):
        fill_defaults(replace(options, form="nobody"))
    assert fill_defaults(replace(options, form="exact")).form is EXACT
    assert fill_defaults(replace(options, form="auto")).form is EXACT  # nothing can judge another


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({"data": "street", "split": "test"}, None),
        ({"calibration": "street"}, None),
        ({"data": "street", "split": "test", "precision": "int8"}, None),
        ({"data": "street", "split": "test", "precision": "fp32"}, EXACT),
        ({"data": "street", "split": "test", "precision": "fp32", "form": "auto"}, None),
        ({}, EXACT),
        ({"data": "few", "split": "test"}, EXACT),
        ({"data": "few", "split": "test", "limits": Limits(max_class_drop=None)}, None),
    ],
)
def test_the_search_chooses_a_form_where_images_can_judge_it(
    checkpoint_folder: Path,
    street: Path,
    tmp_path: Path,
    options: dict[str, object],
    form: Form | None,
) -> None:
    few = tmp_path / "few"
    shutil.copytree(street, few)
    for kind in ("images", "masks"):
        for path in sorted((few / "test" / kind).iterdir())[4:]:
            path.unlink()
    places = {"street": str(street), "few": str(few)}
    named = {key: places.get(str(value), value) for key, value in options.items()}
    made = ExportOptions(weights=str(checkpoint_folder), **named)  # type: ignore[arg-type]  # as a table has it
    assert fill_defaults(made).form is form


def test_int8_of_the_exact_network_is_tried_where_that_of_the_form_misses(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form's INT8 has ranges that cut off nearly all; 80.6 % of its FP32's pixels agree."""

    def narrow(
        model: onnx.ModelProto, recipe: Recipe, ranges: Mapping[str, Range]
    ) -> onnx.ModelProto:
        if any("q_average" in node.name for node in model.graph.node):
            ranges = {name: Range(r.low / 16, r.high / 16) for name, r in ranges.items()}
        return to_qdq(model, recipe, ranges)

    monkeypatch.setattr("edgeseg.quantize.targets.onnxruntime.to_qdq", narrow)
    monkeypatch.setattr("edgeseg.quantize.judging.measure_speed", lambda *_: (2.0, 10.0))
    monkeypatch.setattr("edgeseg.quantize.search._can_shrink", lambda _made: False)
    monkeypatch.setattr("edgeseg.deploy.forms.FORMS", {"merge-queries": QUERIES})
    limits = Limits(max_drop=None, max_class_drop=None, min_agreement=80)
    bundle, lines = export(replace(request_, limits=limits, form=None))
    (plan,) = (line for line in lines if line.startswith("to try: "))
    assert re.match(
        r"to try: 1 form of the network and 1 INT8 recipe; about \d+:\d\d of the 20:00 min", plan
    )
    formed = next(one.form for one in bundle.manifest.variants if one.form is not None)
    assert _tell(bundle, formed.macs) in lines
    assert "no INT8 of form merge-queries passed: trying that of the exact network" in lines
    assert (bundle.chosen.name, bundle.chosen.form) == ("int8-linear", None)
    names = {one.name for one in bundle.manifest.variants}
    assert names == {"fp32", "merge-queries+fp32", "int8-linear"}


def test_forms_of_one_name_are_told_apart() -> None:
    one, other = Form(name="mine", queries=frozenset({1})), Form(name="mine", keys=frozenset({1}))
    assert one.digest != other.digest
    assert one.digest == replace(one, name="yours").digest


def test_int8_of_a_form_that_misses_on_the_deciding_half_is_no_dead_end(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deciding half has other pixels, so that what passed on the search half may miss there."""
    monkeypatch.setattr("edgeseg.quantize.judging.measure_speed", lambda *_: (2.0, 10.0))
    monkeypatch.setattr("edgeseg.deploy.forms.FORMS", {"merge-queries": QUERIES})

    def measure_worse(job: Search, candidate: Candidate, meter: Meter, half: str) -> Accuracy:
        found = measure_once(job, candidate, meter, half)
        formed = candidate.precision == "int8" and not candidate.form.is_exact
        return msgspec.structs.replace(found, pixel_agreement=10.0) if formed else found

    monkeypatch.setattr("edgeseg.quantize.judging.measure_once", measure_worse)
    limits = Limits(max_drop=None, max_class_drop=None, min_agreement=60)
    bundle, lines = export(replace(request_, limits=limits, form=None))
    assert "no INT8 of form merge-queries passed: trying that of the exact network" in lines
    assert bundle.chosen.name == "int8-linear"
    decided = [line for line in lines if line.startswith("deciding on ")]
    assert len(decided) == len(set(decided))


def test_of_equally_fast_forms_the_most_accurate_is_decided_on_first(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.quantize.judging.measure_speed", lambda *_: (2.0, 10.0))
    _, lines = export(replace(request_, form=None, precision="fp32", calibration=None))
    drops = {
        name: float(found[1])
        for line in lines
        for name in FORMS
        if (found := re.match(rf"\s*{re.escape(name)}\+fp32: .*drop ([+-][\d.]+)", line))
    }
    assert len(drops) == 3
    best = min(drops, key=lambda name: drops[name])
    decided = next(line for line in lines if line.startswith("deciding on "))
    assert decided.endswith(f": {best}+fp32")


def test_a_form_file_that_changes_nothing_is_the_exact_network(
    checkpoint_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "plain.json"
    file.write_text("{}")
    options = ExportOptions(
        weights=str(checkpoint_folder), precision="fp32", form=str(file), folder=tmp_path / "b"
    )
    bundle, _ = export(fill_defaults(options))
    assert (bundle.chosen.name, bundle.chosen.form) == ("fp32", None)


def test_a_form_without_time_asks_for_more_of_it(request_: ExportRequest) -> None:
    with pytest.raises(ExportError, match=r"not tried: .*; give a longer --budget, or keep"):
        export(replace(request_, budget_s=0))


def test_int8_of_a_form_is_rated_against_that_form_in_float(request_: ExportRequest) -> None:
    """The form alone moves a tenth of this network's pixels or more; INT8 of one group does not."""
    bundle, _ = export(replace(request_, sensitivity=True))
    assert min(bundle.manifest.sensitivity.values()) < 2
