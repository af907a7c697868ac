from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from machines import ELSEWHERE

import edgeseg
from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.datasets import Differences, open_dataset
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.errors import CheckpointError, DatasetError, NotJudgedError, SourceError, SpecError
from edgeseg.images import read_mask, write_mask
from edgeseg.labels import get_known_labels
from edgeseg.progress import Progress
from edgeseg.reports.report import Report, read_report
from edgeseg.reports.terminal import report_lines
from edgeseg.verification.opening import open_model, own_reference, same_classes
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.subjects import BundleModel
from edgeseg.verification.verify import verify


def verified(bundle: Bundle | Path, street: Path, **options: object) -> Report:
    folder = bundle.folder if isinstance(bundle, Bundle) else bundle
    return edgeseg.verify(folder, data=street, split="test", **options)


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
    lines = report_lines(report)
    assert all(any(line.startswith(f"MISSED: {name}") for line in lines) for name in missed(report))
    assert lines[-1] == f"{len(report.misses)} of {len(report.gates)} gates missed"


def test_without_a_reference_only_the_model_is_measured(
    seeded_bundle: Bundle, street: Path
) -> None:
    report = verified(seeded_bundle, street)
    assert report.miou == pytest.approx(100)
    assert (report.reference_miou, report.drop, report.worst_class) == (None, None, None)
    assert len(report.gates) == 2
    with pytest.raises(NotJudgedError, match="--max-drop is against a reference, .* add --ref"):
        verified(seeded_bundle, street, max_drop=0.5)


def test_a_bundle_is_compared_with_its_own_float_variant(tmp_path: Path) -> None:
    from PIL import Image

    from edgeseg.demo import draw_scene

    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for seed in range(2):
        drawn = draw_scene(seed, 0, height=256, width=256)
        Image.fromarray(drawn.image[:, :, ::-1].copy()).save(tmp_path / f"images/{seed}.png")
        write_mask(drawn.mask, tmp_path / f"masks/{seed}.png")
    (tmp_path / "dataset.json").write_text(
        json.dumps({"classes": get_known_labels("camvid").classes})
    )
    report = edgeseg.verify(
        find_demo_bundle(), data=tmp_path, limits=Limits(max_drop=50, max_class_drop=100)
    )
    assert report.passed
    assert report.reference is not None
    assert (report.candidate.variant, report.reference.variant) == ("int8-linear", "fp32")
    assert report.drop is not None
    assert 98 < (report.pixel_agreement or 0) < 100


def test_what_the_export_chose_is_judged_whatever_is_fastest_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or a gate in CI would judge what its machine's processor happens to prefer."""
    monkeypatch.setattr("edgeseg.verification.opening.variant_here", pytest.fail)
    report = verify(VerifyRequest(source=str(find_demo_bundle())))
    assert report.candidate.variant == "int8-linear"


def with_bf16(seeded_bundle: Bundle) -> Bundle:
    """As for OpenVINO, with BF16 and an INT8 that is chosen, of one file."""
    manifest = seeded_bundle.manifest
    bf16 = msgspec.structs.replace(
        manifest.variants[0], name="bf16", precision="bf16", compute="bf16"
    )
    int8 = msgspec.structs.replace(bf16, name="int8", precision="int8", compute="f32")
    other = msgspec.structs.replace(
        manifest,
        target="openvino",
        variants=(bf16, int8),
        chosen=msgspec.structs.replace(manifest.chosen, variant="int8"),
        golden=tuple(
            msgspec.structs.replace(g, agreement={"bf16": 100.0, "int8": 100.0})
            for g in manifest.golden
        ),
    )
    return replace(seeded_bundle, manifest=other)


def test_where_what_was_chosen_does_not_run_something_else_is_told(
    seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = with_bf16(seeded_bundle)
    chosen = msgspec.structs.replace(bundle.manifest.chosen, variant="bf16")
    manifest = msgspec.structs.replace(bundle.manifest, chosen=chosen, machine=ELSEWHERE)
    monkeypatch.setattr(
        "edgeseg.verification.opening.open_bundle", lambda _: replace(bundle, manifest=manifest)
    )
    monkeypatch.setattr("edgeseg.runtime.backends.openvino._float_types", lambda _core: ("f32",))
    told: list[str] = []
    report = verify(VerifyRequest(source=str(bundle.folder)), progress=Progress(say=told.append))
    assert report.candidate.variant == "int8"
    (left,) = report.unjudged
    assert told[-1] == f"{left.name}: {left.reason}"
    assert left.name == "variant bf16 of bundle seeded"
    assert left.reason == (
        "the export chose it, and int8 is measured in its place, for it does not run here (this "
        "CPU does not compute in bf16; run: edgeseg build BUNDLE)"
    )
    assert not report.misses
    assert report.passed is False


def test_the_reference_of_openvino_is_its_float_file_in_fp32(seeded_bundle: Bundle) -> None:
    """Where BF16 is shipped, the same file in FP32: no other float variant may be there."""
    bundle = with_bf16(seeded_bundle)
    bf16, int8 = bundle.manifest.variants
    model = BundleModel(bundle, variant=int8)
    reference = own_reference(model)
    assert isinstance(reference, BundleModel)
    assert (reference.variant.compute, reference.variant.file) == ("f32", bf16.file)
    assert own_reference(reference) is None


def renamed(street: Path, folder: Path, names: list[str]) -> Path:
    """The same files under other class names."""
    shutil.copytree(street, folder)
    (folder / "dataset.json").write_text(json.dumps({"classes": names}))
    return folder


def test_classes_are_matched_by_name(seeded_bundle: Bundle, street: Path, tmp_path: Path) -> None:
    """In another order, and written otherwise: the same measurement."""
    names = list(seeded_bundle.manifest.labels.classes)
    order = np.random.default_rng(0).permutation(len(names))
    shuffled = renamed(street, tmp_path / "data", [f" {names[i].upper()} " for i in order])
    inverse = np.full(256, 255, np.uint8)  # ignored pixels stay so
    inverse[order] = np.arange(len(order))
    for path in (shuffled / "test" / "masks").iterdir():
        write_mask(inverse[read_mask(path)], path)
    report = verified(seeded_bundle, shuffled)
    assert report.miou == pytest.approx(100)
    assert not report.differences


def test_classes_of_one_side_alone_are_shown_and_not_counted(
    seeded_bundle: Bundle, street: Path, tmp_path: Path
) -> None:
    names = ["Sky", "Castle", *seeded_bundle.manifest.labels.classes[2:]]
    other = renamed(street, tmp_path / "data", names)
    report = verified(seeded_bundle, other)
    assert report.differences == Differences(data_only=("Castle",), model_only=("Building",))
    assert report.miou == pytest.approx(100)  # what is castle there is building here: not counted
    assert any("Castle" in line for line in report_lines(report))
    with pytest.raises(DatasetError, match=r"--strict: .*Castle.*Building"):
        verified(seeded_bundle, other, strict=True)


def test_no_class_in_common_is_refused(seeded_bundle: Bundle, street: Path, tmp_path: Path) -> None:
    other = renamed(street, tmp_path / "data", [f"thing {index}" for index in range(11)])
    with pytest.raises(DatasetError, match=r"no class in common: thing 0, .* and Sky, Building"):
        verified(seeded_bundle, other)


def test_images_that_cannot_be_measured_are_skipped_by_name(
    seeded_bundle: Bundle, street: Path, tmp_path: Path
) -> None:
    shutil.copytree(street, tmp_path / "data")
    images, masks = tmp_path / "data" / "test" / "images", tmp_path / "data" / "test" / "masks"
    first, second, third, fourth, *_ = sorted(path.stem for path in masks.iterdir())
    next(images.glob(f"{first}.*")).write_bytes(b"")
    write_mask(np.zeros((3, 3), np.uint8), masks / f"{second}.png")
    size = read_mask(masks / f"{third}.png").shape
    write_mask(np.full(size, 77, np.uint8), masks / f"{third}.png")
    (masks / f"{fourth}.png").unlink()
    report = verified(seeded_bundle, tmp_path / "data")
    told = {noted.name: noted.reason for noted in report.skipped}
    assert set(told) == {first, second, third, fourth}
    assert report.images == 6
    for name, says in zip(
        (first, second, third, fourth),
        ("is empty (0 bytes)", "is 3x3, but its image", "holds the id 77", "has no mask"),
        strict=True,
    ):
        assert says in told[name], told[name]
    assert "skipped: 4 (--report FOLDER names all), the first: " in report_lines(report)[0]
    with pytest.raises(DatasetError, match="has no mask"):
        verified(seeded_bundle, tmp_path / "data", strict=True)
    write_mask(np.zeros(size, np.uint8), masks / f"{fourth}.png")
    with pytest.raises(SourceError, match="is empty"):
        verified(seeded_bundle, tmp_path / "data", strict=True)


def test_images_that_are_converted_are_named_and_strictly_refused(
    seeded_bundle: Bundle, street: Path, tmp_path: Path
) -> None:
    from PIL import Image

    shutil.copytree(street, tmp_path / "data")
    path = min((tmp_path / "data" / "test" / "images").iterdir())
    with Image.open(path) as image:
        image.convert("L").save(path)
    report = verified(seeded_bundle, tmp_path / "data")
    assert [(noted.name, noted.reason) for noted in report.converted] == [(path.stem, "gray")]
    assert report.images == 10
    with pytest.raises(DatasetError, match=f"--strict: .*{path.stem}.*gray"):
        verified(seeded_bundle, tmp_path / "data", strict=True)


def test_file_names_that_are_no_text_are_told_all_the_same(
    seeded_bundle: Bundle, street: Path, tmp_path: Path
) -> None:
    shutil.copytree(street, tmp_path / "data")
    folder = tmp_path / "data" / "test"
    first, second, *_ = sorted(path.stem for path in (folder / "images").iterdir())
    for stem, name in ((first, b"bad\xff"), (second, b"fine\xfe")):
        for part in ("images", "masks"):
            (folder / part / f"{stem}.png").rename(folder / part / f"{os.fsdecode(name)}.png")
    (folder / "images" / f"{os.fsdecode(b'bad' + bytes([255]))}.png").write_bytes(b"")
    report = verified(seeded_bundle, tmp_path / "data", report=tmp_path / "r")
    assert [noted.name for noted in report.skipped] == ["bad?"]
    assert "fine?" in {image.name for image in report.per_image}
    assert read_report(tmp_path / "r" / "report.json") == report


def test_a_data_set_of_nothing_but_faults_is_refused(
    seeded_bundle: Bundle, street: Path, tmp_path: Path
) -> None:
    shutil.copytree(street, tmp_path / "data")
    for path in (tmp_path / "data" / "test" / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="none of 10 images can be measured, the first for: "):
        verified(seeded_bundle, tmp_path / "data")


def test_a_reference_with_other_classes_is_refused(
    seeded_bundle: Bundle, street: Path, tmp_path: Path
) -> None:
    import torch
    from literal import nvlabs_state

    torch.save(nvlabs_state(classes=5), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"has 5 classes, bundle seeded \(fp32\) has 11"):
        verified(seeded_bundle, street, reference=tmp_path / "w.pth")


def test_a_reference_whose_classes_are_in_another_order_is_refused(seeded_bundle: Bundle) -> None:
    own = BundleModel(seeded_bundle)
    manifest = seeded_bundle.manifest
    labels = replace(manifest.labels, classes=manifest.labels.classes[::-1])
    checkpoint = msgspec.structs.replace(manifest.checkpoint, sha256="another's")
    foreign = msgspec.structs.replace(manifest, labels=labels, checkpoint=checkpoint)
    other = BundleModel(replace(seeded_bundle, manifest=foreign))
    with pytest.raises(CheckpointError, match="class 0 is 'Bicyclist' in reference .* and 'Sky'"):
        same_classes(other, own)
    renamed_only = BundleModel(
        replace(seeded_bundle, manifest=msgspec.structs.replace(manifest, labels=labels))
    )
    same_classes(renamed_only, own)  # the same weights, exported under other names


def test_what_is_no_model_is_named() -> None:
    with pytest.raises(edgeseg.errors.BundleError, match="no bundle or checkpoint at missing"):
        open_model("missing")


def test_rows_of_images_add_up_to_the_whole(
    damaged: Bundle, seeded_bundle: Bundle, street: Path
) -> None:
    """Whoever adds images up, as a baseline or another machine does, gets the same matrix."""
    report = verified(damaged, street, reference=seeded_bundle.folder)
    for place, result in enumerate(report.classes):
        rows = [(i, i.classes.index(place)) for i in report.per_image if place in i.classes]
        hits = sum(image.hits[column] for image, column in rows)
        union = sum(i.labelled[c] + i.predicted[c] - i.hits[c] for i, c in rows)
        if union:
            assert result.iou == pytest.approx(100 * hits / union)
        else:
            assert result.iou is None
        assert result.images == sum(image.labelled[column] > 0 for image, column in rows)
    dataset = open_dataset(street, split="test")
    assert report.data is not None
    assert report.data.sha256 == dataset.sha256
    assert sum(map(sum, report.confusion)) == sum(sum(i.labelled) for i in report.per_image)


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
