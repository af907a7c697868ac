"""An export that wins back what INT8 costs, on real engines with a small network."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drawn_streets import write_streets
from search_limits import export

from edgeseg.accuracy.limits import Limits
from edgeseg.accuracy.metrics import confusion, mean_iou
from edgeseg.corruptions import corrupt
from edgeseg.datasets import open_dataset
from edgeseg.demo import DEMO
from edgeseg.deploy import recover as recover_module
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportOptions, ExportRequest, Recover
from edgeseg.errors import (
    BackendError,
    CalibrationError,
    ExportError,
    GateMissedError,
    SpecError,
)
from edgeseg.images import read_image, read_mask
from edgeseg.progress import Progress
from edgeseg.quantize import corrupted, judging
from edgeseg.quantize.corrupted import judge_corrupted
from edgeseg.quantize.search import Search, Trial
from edgeseg.quantize.share import int8_share
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.segformer.form import FORMS

SECONDS = 1.5


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def request_(request_: ExportRequest, cache: str, monkeypatch: pytest.MonkeyPatch) -> ExportRequest:
    """What one export made, the next one of these tests finds."""
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setattr(corrupted, "SEVERITIES", (1,))
    monkeypatch.setattr("edgeseg.recovery.recover._FITTED", 2)
    limits = replace(request_.limits, max_extra_drop=None)
    return replace(request_, limits=limits, recover=Recover(seconds=SECONDS))


@pytest.fixture
def _is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """INT8 is trained whatever it lost, and what was trained is decided on first."""
    monkeypatch.setattr(recover_module, "WORTH", -100.0)
    for name in ("rank_timed", "_sort_by_boldness"):
        monkeypatch.setattr(judging, name, partial(put_first, getattr(judging, name)))


def put_first(
    sort: Callable[[Sequence[Trial]], list[Trial]], trials: Sequence[Trial]
) -> list[Trial]:
    return sorted(sort(trials), key=lambda trial: trial.candidate.recovery is None)


@pytest.mark.usefixtures("_is_first")
@pytest.mark.parametrize("target", ["onnxruntime", "openvino", "jetson"])
def test_a_recovered_variant_is_one_like_any_other(request_: ExportRequest, target: str) -> None:
    done = export_bundle(replace(request_, target=target))
    tried = {trial.candidate.name: trial for trial in done.tried}
    trial = tried["int8-linear+recovered"]
    recovery = trial.candidate.recovery
    assert recovery is not None
    assert (recovery.images, recovery.held_back, recovery.seed) == (10, 2, 0)
    assert recovery.after >= recovery.before
    assert recovery.steps > 0
    assert trial.search is not None
    assert trial.int8_share == tried["int8-linear"].int8_share
    manifest = done.bundle.manifest
    assert manifest.calibration is not None
    assert recovery.sha256 == manifest.calibration.sha256
    shipped = {variant.name: variant for variant in manifest.variants}
    # The reference stays the network as it was trained.
    reference = shipped.get("fp32") or shipped["fp16"]
    assert reference.recovery is None
    variant = shipped["int8-linear+recovered"]
    assert variant.recovery == recovery
    assert "recovered" in variant.file
    assert int8_share(done.bundle.path(variant.file)) == variant.int8_share
    assert all(variant.name in golden.agreement for golden in manifest.golden)


def test_a_killed_export_does_not_train_again(
    request_: ExportRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was trained is kept with the search, as all that it made and measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, lines = export(request_)
    begun = "recovering int8-linear for 0:02 minutes, from 12 images: "
    assert any(line.startswith(begun) and line != begun for line in lines)
    again, lines = export(request_)
    assert not any(line.startswith("recovering") for line in lines)
    assert again.manifest.variants[0].recovery == first.manifest.variants[0].recovery


def test_nothing_is_trained_unasked_or_without_a_loss(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = export_bundle(replace(request_, recover=None))
    assert not any(trial.candidate.recovery for trial in plain.tried)
    monkeypatch.setattr(recover_module, "WORTH", 100.0)
    monkeypatch.setattr(recover_module, "WORTH_IN_CONTRAST", 100.0)
    bundle, lines = export(request_)
    assert any(line.startswith("nothing to recover: no INT8 variant costs") for line in lines)
    assert not any(variant.recovery for variant in bundle.manifest.variants)


@pytest.mark.usefixtures("_is_first")
def test_an_engine_that_fails_in_bad_light_is_out(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise BackendError("the engine broke")

    monkeypatch.setattr(judging, "measure_corrupted", fail)
    monkeypatch.setattr(recover_module, "measure_corrupted", fail)
    done = export_bundle(request_)
    recovered = next(trial for trial in done.tried if trial.candidate.recovery is not None)
    assert not recovered.approved
    assert recovered.verdict == "failed on the deciding half: the engine broke"
    assert done.bundle.chosen.name == "int8-linear"


@pytest.mark.parametrize(
    ("approved", "drop", "agreed", "contrast", "told"),
    [
        (False, 0.0, 99.9, (), "it misses a gate"),
        (True, 0.07, 99.9, (), "it costs 0.07 points"),
        (True, None, 98.7, (), "only 98.70 % of the pixels agree with FP32"),
        (True, -0.02, 99.0, (0.5, 0.3), "low contrast costs it 0.40 points more than clean images"),
        (True, -0.02, 99.0, (0.4, 0.1), None),
        (True, None, 99.6, (), None),
    ],
)
def test_it_is_told_why_a_variant_is_trained(
    approved: bool,
    drop: float | None,
    agreed: float,
    contrast: tuple[float, ...],
    told: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extra = {f"contrast {severity}": value for severity, value in enumerate(contrast, 1)}
    monkeypatch.setattr(recover_module, "measure_corrupted", lambda *_, **__: extra)
    search: Any = SimpleNamespace(search_half=None)
    measured = SimpleNamespace(drop=drop, pixel_agreement=agreed)
    trial: Any = SimpleNamespace(approved=approved, search=measured, candidate=None)
    assert recover_module._explain_loss(search, trial) == told


def test_its_limit_is_an_option_of_its_own() -> None:
    limits = Limits(max_extra_drop=0.5)
    ExportOptions(model="b0", limits=limits, recover=Recover(seconds=60.0))
    with pytest.raises(SpecError, match="--max-extra-drop judges what --recover trains; add"):
        ExportOptions(model="b0", limits=limits)


def test_it_needs_images(checkpoint_folder: Path) -> None:
    options = ExportOptions(weights=str(checkpoint_folder), recover=Recover(seconds=60.0))
    with pytest.raises(CalibrationError, match="--recover needs images .* add --data DATASET, or"):
        fill_defaults(options)


def test_what_cannot_be_trained_is_named_and_the_export_goes_on(
    request_: ExportRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def refuse(*_: object, **__: object) -> None:
        raise ExportError("model.onnx: Mystery of node cannot be trained")

    monkeypatch.setattr("edgeseg.recovery.recover.recover", refuse)
    bundle, lines = export(request_)
    assert "int8-linear is not recovered: model.onnx: Mystery of node cannot be trained" in lines
    assert bundle.chosen.name == "int8-linear"


@pytest.mark.usefixtures("_is_first")
def test_one_that_became_brittle_does_not_ship(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clean images pass it; bad light costs it more than it may."""
    monkeypatch.setattr(judging, "measure_corrupted", lambda *_: {"contrast 1": 0.4, "fog 2": 1.2})
    strict = replace(request_.limits, max_extra_drop=1.0)
    done = export_bundle(replace(request_, limits=strict))
    recovered = next(trial for trial in done.tried if trial.candidate.recovery is not None)
    assert not recovered.approved
    assert "extra mIoU drop (fog) 1.200 (limit 1.000)" in recovered.verdict
    assert recovered.gate is not None
    assert done.bundle.chosen.name == "int8-linear"


def test_the_mean_of_each_kind_is_judged() -> None:
    search = Search.__new__(Search)
    object.__setattr__(search, "limits", Limits(max_extra_drop=1.0))
    extra = {"contrast 1": 0.5, "contrast 2": 2.5, "fog 1": 0.9}
    (missed,) = judge_corrupted(search, extra).gates
    assert (missed.passed, missed.value) == (False, 1.5)
    assert "contrast" in missed.name
    (worst,) = judge_corrupted(search, {"contrast 1": 0.5, "fog 1": 0.9}).gates
    assert (worst.passed, worst.value) == (True, 0.9)
    assert judge_corrupted(search, {}).gates == ()


def find_drop(engines: list[Segmenter], streets: Path, corruption: str = "") -> float:
    """The first engine's mIoU less the second's, on the half that decides, spelled out."""
    paths = sorted((streets / "test" / "images").iterdir())
    order = np.random.default_rng(0).permutation(len(paths))
    counts = np.zeros((2, 11, 11), np.int64)
    for place in sorted(order[len(paths) // 2 :].tolist()):
        image = read_image(paths[place])
        if corruption:
            kind, severity = corruption.split()
            image = corrupt(image, kind, int(severity), seed=place)
        truth = read_mask(streets / "test" / "masks" / paths[place].name)
        for count, engine in zip(counts, engines, strict=True):
            mask = engine.segment(image).mask
            count += confusion(truth, mask, classes=11, ignore_index=255)
    exact, own = map(mean_iou, counts)
    return exact - own


@pytest.mark.usefixtures("_is_first")
def test_extra_drops_are_of_the_images_that_decide(request_: ExportRequest, tmp_path: Path) -> None:
    streets = write_streets(tmp_path / "streets")
    done = export_bundle(
        replace(
            request_,
            weights=DEMO,
            size=(96, 128),
            dataset=open_dataset(streets, split="test"),
            calibration=str(streets),
            limits=replace(request_.limits, max_extra_drop=100.0),
        )
    )
    bundle = done.bundle
    recovery = bundle.chosen.recovery
    assert recovery is not None
    exact = next(v for v in bundle.manifest.variants if v.precision == "fp32")
    with Segmenter(bundle, variant=exact) as reference, Segmenter(bundle) as own:
        clean = find_drop([reference, own], streets)
        assert bundle.chosen.gate is not None
        assert bundle.chosen.gate.drop == pytest.approx(clean, abs=1e-6)
        for name in ("brightness 1", "contrast 1"):
            found = find_drop([reference, own], streets, name)
            assert recovery.extra_drops[name] == pytest.approx(found - clean, abs=1e-6)


def test_a_form_that_misses_may_be_won_back(request_: ExportRequest) -> None:
    """Without a training it ends the export; the limits then judge what was trained."""
    wanted = replace(
        request_, form=FORMS["merge-queries-keys12"], limits=replace(request_.limits, max_drop=0.0)
    )
    with pytest.raises(GateMissedError, match="form merge-queries-keys12 missed"):
        export_bundle(replace(wanted, recover=None))
    lines: list[str] = []
    with pytest.raises(GateMissedError, match="no int8 variant passed"):
        export_bundle(wanted, progress=Progress(say=lines.append))
    assert any(
        re.search("form merge-queries-keys12 missed .*: its INT8 is", line) for line in lines
    )
    assert any("recovering merge-queries-keys12+int8-linear for" in line for line in lines)


def test_fewer_images_may_be_learned_from(request_: ExportRequest) -> None:
    done = export_bundle(replace(request_, recover=Recover(seconds=2.0, images=9)))
    (recovery,) = (t.candidate.recovery for t in done.tried if t.candidate.recovery is not None)
    assert (recovery.images, recovery.held_back) == (7, 2)
    assert done.bundle.manifest.calibration is not None
    assert recovery.sha256 != done.bundle.manifest.calibration.sha256  # of the nine alone
    with pytest.raises(SpecError, match="--recover-images is a number of 8 or more"):
        Recover(seconds=2.0, images=7)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_it_is_for_int8(precision: str) -> None:
    with pytest.raises(SpecError, match="--recover is for INT8, .* or leave --recover out"):
        ExportOptions(
            model="b0", target="jetson", precision=precision, recover=Recover(seconds=60.0)
        )


@pytest.mark.usefixtures("_is_first")
def test_the_command_tells_it(edgeseg, checkpoint_folder: Path, street: Path) -> None:
    args = ["--weights", checkpoint_folder, "--data", street, "--split", "test", "--int8"]
    outcome = edgeseg(
        "export", *args, "--recipe", "int8-linear", "--form", "exact", "--max-drop", 60,
        "--max-class-drop", 100, "--max-extra-drop", 100, "--recover", SECONDS / 60, "--json",
        "-o", "b",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert outcome.json["chosen"]["variant"] == "int8-linear+recovered"
    told = edgeseg("inspect", "b")
    assert re.search(
        r"training +int8-linear\+recovered was trained against FP32: \d+ steps? on 10 images",
        told.out + told.err,
    )
    assert "was trained against FP32" in outcome.err + outcome.out
