"""What fails in a cell is of that cell alone; what can be known is refused at once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from sweep_files import FILES, with_options

from edgeseg.errors import CalibrationError, ClusterError, DatasetError, SpecError
from edgeseg.progress import SILENT
from edgeseg.sweep import cell as making
from edgeseg.sweep import run as run_module
from edgeseg.sweep import timing as latency
from edgeseg.sweep.plan import Plan
from edgeseg.sweep.run import sweep


def test_an_engine_that_does_not_open_again_loses_its_latency_alone(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = latency._open

    def failing(plan_, row):
        if row.height == 96:
            raise MemoryError
        return opened(plan_, row)

    monkeypatch.setattr(latency, "_open", failing)
    found = sweep(plan, progress=SILENT)
    lost, kept = found.rows
    assert lost.status == "failed"
    assert lost.reason == "not timed: MemoryError: "
    assert lost.miou is not None
    assert lost.latency_ms is None
    assert kept.speedup == 1
    assert sorted(path.name for path in plan.folder.glob("*.*")) == FILES


def test_an_engine_that_fails_while_it_is_timed_loses_its_latency_alone(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = latency._open

    def tiring(plan_, row):
        model = opened(plan_, row)
        if row.height == 96:
            frames = iter(range(5))
            segment = model.segment
            model.segment = lambda frame: (next(frames), segment(frame))
        return model

    monkeypatch.setattr(latency, "_open", tiring)
    lost, kept = sweep(plan, progress=SILENT).rows
    assert lost.status == "failed"
    assert lost.reason == "not timed: StopIteration: "
    assert lost.latency_ms is None
    assert kept.speedup == 1


def test_a_name_that_is_no_text_does_not_keep_the_overview_from_being_written(
    plan: Plan, tmp_path: Path
) -> None:
    """Such bytes reach Python as surrogates, which neither JSON nor UTF-8 can hold."""
    weights = tmp_path / os.fsdecode(b"caf\xe9.pth")
    weights.write_bytes(b"no checkpoint")
    (row,) = sweep(replace(plan, weights=(str(weights),), sizes=(None,)), progress=SILENT).rows
    assert row.status == "failed"
    assert row.weights.endswith("caf?.pth")
    assert (plan.folder / "sweep.json").exists()


def test_a_full_disk_is_of_its_cell_alone(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    export = making.export_bundle

    def full(request, **more):
        if "64x96" in request.folder.name:
            raise OSError(28, "No space left on device")
        return export(request, **more)

    def unwritable(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(making, "export_bundle", full)
    monkeypatch.setattr(run_module.traceback, "format_exc", unwritable)
    found = sweep(plan, progress=SILENT)
    assert [row.status for row in found.rows] == ["passed", "failed"]
    assert "No space left on device" in str(found.rows[1].reason)


def test_a_cell_that_needs_more_memory_than_there_is_does_not_end_the_sweep(plan: Plan) -> None:
    """The system would kill the process, and the others with it."""
    found = sweep(replace(plan, sizes=((1_000_000, 1_000_000), (64, 96))), progress=SILENT)
    huge, small = found.rows
    assert "needs at least " in str(huge.reason)
    assert "choose a smaller --size" in str(huge.reason)
    assert (huge.status, small.status) == ("failed", "passed")


def test_a_wrong_calibration_is_found_out_before_the_first_export(plan: Plan) -> None:
    for source in ("nowhere", "a" * 300):
        with pytest.raises(CalibrationError):
            sweep(with_options(plan, calibration=source), progress=SILENT)
    assert not plan.folder.exists()


def test_a_cluster_that_is_not_there_is_found_out_before_the_first_export(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.verification.cluster.CONNECT_S", 1)
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        sweep(with_options(plan, dask="tcp://127.0.0.1:1"), progress=SILENT)
    assert not plan.folder.exists()
    with pytest.raises(SpecError, match="--threads is 1 to 256"):
        with_options(plan, threads=0)


def test_whatever_an_engine_raises_is_of_its_cell_alone(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = making.verify

    def breaking(asked, **more):
        if "64x96" in asked.source:
            raise RuntimeError("the engine\nbroke")
        return verify(asked, **more)

    monkeypatch.setattr(making, "verify", breaking)
    found = sweep(plan, progress=SILENT)
    assert [row.status for row in found.rows] == ["passed", "failed"]
    assert str(found.rows[1].reason).startswith("RuntimeError: the engine")
    told = plan.folder / "reports" / found.rows[1].name / "error.txt"
    assert "breaking" in told.read_text("utf-8")


def test_without_data_nothing_is_begun(plan: Plan) -> None:
    with pytest.raises(DatasetError):
        sweep(with_options(plan, data="nowhere"), progress=SILENT)
    assert not plan.folder.exists()
