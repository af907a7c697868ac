from __future__ import annotations

from pathlib import Path

import pytest
from verified import verified

import edgeseg
from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.errors import NotJudgedError, SpecError
from edgeseg.reports.report import Report
from edgeseg.reports.terminal import describe_report
from edgeseg.verification.opening import open_model


def missed(report: Report) -> set[str]:
    return {gate.name for gate in report.misses}


def test_golden_frames_are_replayed(seeded_bundle: Bundle) -> None:
    report = edgeseg.verify(seeded_bundle.folder)
    assert report.passed
    assert [gate.name for gate in report.gates] == [
        "golden/frame_0.png pixel agreement",
        "golden/frame_1.png pixel agreement",
    ]
    assert all(gate.value > 99.9 for gate in report.gates)
    assert (report.images, report.miou, report.data) == (0, None, None)


def test_a_damaged_model_fails_on_its_golden_frames(damaged: Bundle) -> None:
    report = edgeseg.verify(damaged.folder)
    assert not report.passed
    assert report.misses == report.gates


def test_a_model_equal_to_its_reference_drops_nothing(seeded_bundle: Bundle, street: Path) -> None:
    report = verified(seeded_bundle, street, reference=seeded_bundle.folder)
    assert report.passed
    assert report.images == 10
    assert report.miou == pytest.approx(100)  # the truth is its own mask
    assert (report.drop, report.drop_low, report.drop_high) == (0, 0, 0)
    assert (report.pixel_agreement, report.agreement_iou) == (100, 100)
    assert {c.drop for c in report.classes if c.iou is not None} == {0}
    assert {image.lost for image in report.per_image} == {0}


def test_a_checkpoint_is_a_reference_and_can_be_measured_itself(
    seeded_bundle: Bundle, street: Path, checkpoint_folder: Path
) -> None:
    report = verified(seeded_bundle, street, reference=checkpoint_folder)
    assert report.passed
    assert report.drop == pytest.approx(0, abs=0.05)
    assert report.pixel_agreement == pytest.approx(100, abs=0.05)
    assert report.reference is not None
    assert (report.reference.kind, report.candidate.kind) == ("checkpoint", "bundle")
    assert (report.reference.macs or 0) > (report.candidate.macs or 0) > 0
    assert report.reference.exact_macs is None
    alone = verified(checkpoint_folder, street)
    assert alone.candidate == report.reference
    assert alone.miou == report.reference_miou
    with pytest.raises(SpecError, match="has no golden frames to replay; add --data DATASET"):
        edgeseg.verify(checkpoint_folder)


def test_a_damaged_model_fails_against_its_reference_and_all_misses_are_told(
    damaged: Bundle, seeded_bundle: Bundle, street: Path
) -> None:
    report = verified(
        damaged, street, reference=seeded_bundle.folder, limits=Limits(min_agreement=99.0)
    )
    assert {"mIoU drop", "pixel agreement"} <= missed(report)
    assert report.miou is not None
    assert report.reference_miou == pytest.approx(100)
    assert report.drop == pytest.approx(100 - report.miou)
    assert report.drop_low is not None
    assert 1 < report.drop_low < report.drop
    hurt = {c.name for c in report.classes if c.counted and (c.drop or 0) > 5}
    assert hurt
    assert {f"class IoU drop ({name})" for name in hurt} <= missed(report)
    assert report.worst_class is not None
    assert report.worst_class.drop == max(c.drop for c in report.classes if c.counted)
    lines = describe_report(report)
    assert all(any(line.startswith(f"MISSED: {name}") for line in lines) for name in missed(report))
    assert lines[-1] == f"{len(report.misses)} of {len(report.gates)} gates missed"


def test_without_a_reference_only_the_model_is_measured(
    seeded_bundle: Bundle, street: Path
) -> None:
    report = verified(seeded_bundle, street)
    assert report.miou == pytest.approx(100)
    assert (report.reference_miou, report.drop, report.worst_class) == (None, None, None)
    assert len(report.gates) == 2
    with pytest.raises(NotJudgedError, match="--max-drop needs a reference, .* add --ref"):
        verified(seeded_bundle, street, max_drop=0.5)


def test_what_is_no_model_is_named() -> None:
    with pytest.raises(edgeseg.errors.BundleError, match="no bundle or checkpoint at missing"):
        open_model("missing")


def test_camvid_miou_equals_that_of_pytorch(
    camvid_weights: Path, camvid: Path, tmp_path: Path
) -> None:
    """A tenth of the test images; all 147 are measured by the README's command."""
    from edgeseg.deploy.export import export_bundle
    from edgeseg.deploy.request import ExportRequest

    part = tmp_path / "part"
    for kind in ("images", "masks"):
        (part / kind).mkdir(parents=True)
        for path in sorted((camvid / "test" / kind).iterdir())[::10]:
            (part / kind / path.name).symlink_to(path)
    (part / "dataset.json").symlink_to(camvid / "dataset.json")
    bundle = export_bundle(
        ExportRequest(weights=str(camvid_weights), target="onnxruntime", folder=tmp_path / "b"),
    ).bundle
    report = edgeseg.verify(bundle.folder, data=part, reference=camvid_weights)
    assert report.passed
    assert report.miou is not None
    assert report.miou > 40
    assert report.drop == pytest.approx(0, abs=0.02)
    assert report.pixel_agreement == pytest.approx(100, abs=0.02)
    assert open_bundle(bundle.folder).manifest == bundle.manifest
