from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from dask_cluster import dask_cluster
from sweep_files import FILES, with_options

from edgeseg.accuracy.limits import LIMITS, Limits
from edgeseg.bundle.staging import seal_bundle
from edgeseg.bundle.store import open_bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy.request import ExportOptions
from edgeseg.errors import BusyError, SpecError
from edgeseg.progress import SILENT, Progress
from edgeseg.reports.report import read_report
from edgeseg.reports.writing import REPORTS
from edgeseg.sweep import cell as making
from edgeseg.sweep import run as run_module
from edgeseg.sweep.identity import describe_data, list_dependencies
from edgeseg.sweep.plan import Plan, list_cells
from edgeseg.sweep.results import Sweep
from edgeseg.sweep.run import sweep
from edgeseg.verification.request import VerifyRequest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def whole(
    checkpoint_folder: Path, street: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Plan, Sweep]]:
    """Two targets, and cells that fail in three ways."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "spoiled").mkdir()
    (folder / "spoiled" / "config.json").write_text("{}")
    plan = Plan(
        weights=(str(checkpoint_folder), str(folder / "spoiled")),
        targets=("onnxruntime", "openvino", "jetson"),
        precisions=("fp32",),
        sizes=((96, 128), (16, 16)),
        export=ExportOptions(data=str(street), split="test"),
        verify=VerifyRequest(source="sweep", data=str(street), split="test"),
        folder=folder / "sweep",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield plan, sweep(plan, progress=SILENT)


def test_a_failed_cell_is_named_and_the_others_go_on(whole: tuple[Plan, Sweep]) -> None:
    plan, found = whole
    assert [row.name for row in found.rows] == [cell.name for cell in list_cells(plan)]
    passed = [row.name for row in found.rows if row.status == "passed"]
    assert passed == ["seeded-onnxruntime-fp32-96x128", "seeded-openvino-fp32-96x128"]
    reasons = {row.name: row.reason for row in found.failed}
    assert len(reasons) == 10
    assert "at least 32x32" in str(reasons["seeded-onnxruntime-fp32-16x16"])
    assert "on the Jetson" in str(reasons["seeded-jetson-fp32-96x128"])
    assert "spoiled" in str(reasons["spoiled-openvino-fp32-96x128"])


def test_each_cell_that_was_measured_has_a_bundle_and_a_report(whole: tuple[Plan, Sweep]) -> None:
    plan, found = whole
    assert sorted(path.name for path in plan.folder.glob("*.*")) == FILES
    for row in found.rows:
        bundle = plan.folder / "bundles" / row.name
        if row.status == "failed":
            assert not bundle.exists()
            assert row.report is None
            continue
        report = read_report((plan.folder / str(row.report)).with_suffix(".json"))
        assert (report.miou, report.candidate.name) == (row.miou, row.name)
        macs = open_bundle(bundle).manifest.model.macs
        assert (row.form, row.form_changes, row.macs) == (None, None, macs)
        assert (bundle / "manifest.json").exists()
    bundles = list((plan.folder / "bundles").iterdir())
    assert len(bundles) == 2  # nothing half-written is left


def test_latencies_are_against_the_first(whole: tuple[Plan, Sweep]) -> None:
    _, found = whole
    timed = [row for row in found.rows if row.latency_ms is not None]
    assert [row.status for row in timed] == ["passed", "passed"]
    assert timed[0].speedup == 1
    assert all(row.latency_ms > 0 for row in timed)


def test_the_overview_tells_every_cell_in_each_form(whole: tuple[Plan, Sweep]) -> None:
    plan, found = whole
    content = json.loads((plan.folder / "sweep.json").read_text("utf-8"))
    assert [row["name"] for row in content["rows"]] == [row.name for row in found.rows]
    for form in ("sweep.md", "sweep.html"):
        text = (plan.folder / form).read_text("utf-8")
        for row in found.rows:
            assert row.name in text
    page = (plan.folder / "sweep.html").read_text("utf-8")
    assert "Form exact: the network as it was trained." in page
    assert 'href="reports/seeded-onnxruntime-fp32-96x128/report.html"' in page
    assert "<script" not in page
    ET.parse(plan.folder / "pareto.svg")


def test_what_is_there_is_kept_and_what_changed_is_made_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sweep(plan, progress=SILENT)
    exported: list[str] = []
    export = making.export_bundle

    def counting(request, **more):
        exported.append(request.folder.name)
        return export(request, **more)

    monkeypatch.setattr(making, "export_bundle", counting)
    lines: list[str] = []
    again = sweep(plan, progress=Progress(say=lines.append))
    assert not exported
    assert lines.count("kept from an earlier run") == 2
    assert [row.miou for row in again.rows] == [row.miou for row in first.rows]
    # The report is missing, as after a kill between export and measurement.
    missing = plan.folder / "reports" / again.rows[0].name / "report.json"
    for name in REPORTS:
        missing.with_name(name).unlink()
    sweep(plan, progress=SILENT)
    assert not exported
    assert missing.exists()
    # A bundle that somebody changed is not what was measured.
    model = plan.folder / "bundles" / again.rows[1].name / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    sweep(plan, progress=SILENT)
    assert exported == [again.rows[1].name]
    sweep(with_options(plan, limits=Limits(max_drop=2.0)), progress=SILENT)
    assert exported[1:] == [row.name for row in again.rows]


def test_a_report_of_another_bundle_is_not_kept(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a bundle that was sealed again, or a kill between its export and its report."""
    one = replace(plan, sizes=((64, 96),))
    (row,) = sweep(one, progress=SILENT).rows
    folder = plan.folder / "bundles" / row.name
    sealed = open_bundle(folder).manifest
    seal_bundle(folder, msgspec.structs.replace(sealed, name="another"))
    exported: list[str] = []
    export = making.export_bundle

    def counting(request, **more):
        exported.append(request.folder.name)
        return export(request, **more)

    def killed(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(making, "export_bundle", counting)
        patch.setattr(making, "verify", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(one, progress=SILENT)
    assert exported == [row.name]
    again = sweep(one, progress=SILENT)
    report = read_report(plan.folder / "reports" / row.name / "report.json")
    assert report.candidate.sha256 == open_bundle(folder).sha256
    assert again.rows[0].status == "passed"


@pytest.mark.parametrize("changed", ["labels", "calibration", "classes", "ignored", "form"])
def test_other_inputs_under_the_same_names_are_another_request(
    changed: str, plan: Plan, street: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(street, data)
    names = data / "names.json"
    names.write_text(json.dumps({"classes": [f"c{i}" for i in range(11)]}))
    form = data / "form.json"
    form.write_text('{"queries": [1]}')
    one = with_options(plan, labels=str(names), calibration=str(data / "train"), data=str(data))
    one = with_options(one, form=str(form))
    (cell, _) = list_cells(one)
    with pytest.raises(SpecError, match="measures on one data set"):
        replace(one, verify=plan.verify)

    def request() -> object:
        dataset = open_dataset(one.data, split="test")
        return list_dependencies(one, cell, describe_data(dataset), dataset)

    before = request()
    assert request() == before
    if changed == "labels":
        names.write_text(json.dumps({"classes": [f"d{i}" for i in range(11)]}))
    elif changed == "form":
        form.write_text('{"queries": [2]}')
    elif changed == "calibration":
        next((data / "train" / "images").iterdir()).unlink()
    else:
        (told,) = [p for p in (data / "dataset.json", data / "test" / "dataset.json") if p.exists()]
        content = json.loads(told.read_text("utf-8"))
        other = {"classes": content["classes"][::-1]}  # or what was so unsaid
        said = {"ignore_index": 255} if changed == "ignored" else other
        told.write_text(json.dumps({**content, **said}))
    assert request() != before


def test_no_picture_of_an_earlier_run_is_left(plan: Plan) -> None:
    sweep(plan, progress=SILENT)
    assert (plan.folder / "pareto.svg").exists()
    sweep(replace(plan, targets=("jetson",)), progress=SILENT)
    assert not (plan.folder / "pareto.svg").exists()


def test_a_folder_is_one_sweeps_at_a_time(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = making.verify

    def meanwhile(asked, **more):
        with pytest.raises(BusyError, match="is being written by process"):
            sweep(plan, progress=SILENT)
        return verify(asked, **more)

    monkeypatch.setattr(making, "verify", meanwhile)
    found = sweep(replace(plan, sizes=((64, 96),)), progress=SILENT)
    assert found.rows[0].status == "passed"


@pytest.mark.long
def test_a_miss_is_settled_and_not_searched_for_again(
    plan: Plan, street: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = with_options(
        replace(plan, precisions=("int8",), sizes=((64, 96),)),
        calibration=str(street / "train" / "images"),
        calibration_images=4,
        budget_s=20.0,
        limits=Limits(max_drop=None, max_class_drop=None, min_agreement=100),
    )
    (row,) = sweep(strict, progress=SILENT).rows
    assert row.status == "missed"
    assert "no int8 variant passed its gates" in str(row.reason)
    assert row.latency_ms is None

    def never(*_args: object, **_more: object) -> None:
        raise AssertionError("it was exported again")

    monkeypatch.setattr(making, "export_bundle", never)
    assert sweep(strict, progress=SILENT).rows == (row,)


def test_all_is_timed_at_the_end_in_turns(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cell is made any more when latencies are taken."""
    order: list[str] = []
    verify, alternate = making.verify, run_module.timing.alternate

    def verifying(asked, **more):
        found = verify(asked, **more)
        order.append("cell")
        return found

    def timing(calls, **more):
        order.append(f"timed {len(calls)}")
        return alternate(calls, **more)

    monkeypatch.setattr(making, "verify", verifying)
    monkeypatch.setattr(run_module.timing, "alternate", timing)
    sweep(plan, progress=SILENT)
    assert order[-1] == "timed 2"
    assert order.count("cell") == 2
    assert "cell" not in order[order.index("timed 2") :]


@pytest.mark.long
def test_workers_of_a_cluster_count_the_same(plan: Plan, tmp_path: Path) -> None:
    alone = with_options(plan, threads=1)
    with dask_cluster(tmp_path, workers=2) as cluster:
        shared = with_options(replace(alone, folder=tmp_path / "shared"), dask=cluster.address)
        found = sweep(shared, progress=SILENT)
    for one, other in zip(found.rows, sweep(alone, progress=SILENT).rows, strict=True):
        assert one.status == "passed"
        pages = (shared.folder / str(one.report), alone.folder / str(other.report))
        ours, theirs = (read_report(page.with_suffix(".json")) for page in pages)
        assert ours.confusion == theirs.confusion


def test_a_limit_that_a_cell_cannot_judge_is_for_the_others(plan: Plan) -> None:
    """One in FP32 is the reference: there is no drop, and the sweep goes on."""
    (row,) = sweep(
        with_options(replace(plan, sizes=((64, 96),)), limits=Limits(max_drop=2.0)), progress=SILENT
    ).rows
    assert row.status == "passed", row.reason


def test_a_cells_request_says_each_limit_once(plan: Plan) -> None:
    """The same in each process: it decides whether a cell is made again."""
    dataset = open_dataset(plan.data, split="test")
    request = list_dependencies(plan, list_cells(plan)[0], describe_data(dataset), dataset)
    assert list(request["limits"]) == list(LIMITS)


def test_weights_of_one_name_are_told_apart(plan: Plan) -> None:
    both = replace(plan, weights=("a/b0", "b/B0"), sizes=(None,))
    names = [cell.name for cell in list_cells(both)]
    assert len({name.casefold() for name in names}) == 2
    assert all(name.endswith("-onnxruntime-fp32-own") for name in names)
    with pytest.raises(SpecError, match="--size 64x64 is given twice; give it once"):
        replace(plan, sizes=((64, 64), (64, 64)))
    with pytest.raises(SpecError, match="no --target; give at least one"):
        replace(plan, targets=())


def test_the_command(edgeseg, checkpoint_folder: Path, street: Path) -> None:
    command = ["sweep", "--weights", checkpoint_folder, "--data", street, "--split", "test"]
    command += ["--precision", "fp32", "--size", "64x96", "-o", "out"]
    outcome = edgeseg(*command, "--json")
    assert outcome.status == 0
    (row,) = outcome.json["rows"]
    assert row["status"] == "passed"
    assert "cell 1 of 1: seeded-onnxruntime-fp32-64x96" in outcome.err
    assert "next: edgeseg run out/bundles/seeded-onnxruntime-fp32-64x96 " in outcome.err
    outcome = edgeseg(*command, "--target", "jetson", "--target", "onnxruntime")
    assert outcome.status == 1
    assert "failed: seeded-jetson-fp32-64x96: a bundle for Jetson" in outcome.err
    assert "2 cells: 1 passed, 1 failed" in outcome.err
    outcome = edgeseg(*command, "--size", "64x96")
    assert outcome.status == 2
    outcome = edgeseg("sweep", "--weights", checkpoint_folder)
    assert outcome.status == 2
