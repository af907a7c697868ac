from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from edgeseg.bundle import Bundle, new_bundle, open_bundle, seal_bundle
from edgeseg.datasets import Dataset, Differences, open_dataset
from edgeseg.demo import scene
from edgeseg.errors import DatasetError, SourceError
from edgeseg.gates import Limits, at_least, at_most
from edgeseg.images import read_mask, write_mask
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.summaries import verify_lines
from edgeseg.verify import open_reference, verify

DEFAULTS = Limits(max_drop=1.0, max_class_drop=5.0)


@pytest.fixture(scope="module")
def dataset(seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Scenes whose truth is the seeded model's own mask, with a tenth of the pixels ignored."""
    root = tmp_path_factory.mktemp("scenes")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    random = np.random.default_rng(0)
    with Segmenter(seeded_bundle) as segmenter:
        for index in range(6):
            frame = scene(index, 0, height=120, width=160).image
            truth = segmenter.segment(frame).mask.copy()
            truth[random.random(truth.shape) < 0.1] = 255
            Image.fromarray(frame[:, :, ::-1].copy()).save(root / "images" / f"{index}.png")
            write_mask(truth, root / "masks" / f"{index}.png")
    (root / "dataset.json").write_text(
        msgspec.json.encode({"classes": seeded_bundle.manifest.labels.classes}).decode()
    )
    return open_dataset(root)


@pytest.fixture(scope="module")
def damaged(seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle with one layer's weights halved, sealed again so that its hashes are right."""
    folder = tmp_path_factory.mktemp("damaged") / "damaged"
    with new_bundle(folder) as staging:
        shutil.copytree(seeded_bundle.folder, staging, dirs_exist_ok=True)
        for name in ("manifest.json", "manifest.sha256"):
            (staging / name).unlink()
        graph = onnx.load(staging / "model.onnx")
        for weight in graph.graph.initializer:
            if weight.name == "stage3.block0.ffn_out.weight":
                halved = numpy_helper.to_array(weight) * -1
                weight.CopyFrom(numpy_helper.from_array(halved, weight.name))
        onnx.save(graph, staging / "model.onnx")
        seal_bundle(staging, seeded_bundle.manifest)
    return open_bundle(folder)


def test_golden_frames_are_replayed(seeded_bundle: Bundle) -> None:
    report = verify(seeded_bundle, limits=DEFAULTS)
    assert report.passed
    assert [gate.name for gate in report.gates] == [
        "golden/frame_0.png pixel agreement",
        "golden/frame_1.png pixel agreement",
    ]
    assert all(gate.value > 99.9 for gate in report.gates)
    assert (report.images, report.miou) == (0, None)


def test_a_damaged_model_fails_on_its_golden_frames(damaged: Bundle) -> None:
    report = verify(damaged, limits=DEFAULTS)
    assert not report.passed
    assert not any(gate.passed for gate in report.gates)


def test_a_model_equal_to_its_reference_drops_nothing(
    seeded_bundle: Bundle, dataset: Dataset, checkpoint_folder: Path
) -> None:
    for source in (seeded_bundle.folder, checkpoint_folder):
        reference = open_reference(str(source), seeded_bundle)
        report = verify(seeded_bundle, dataset=dataset, reference=reference, limits=DEFAULTS)
        assert report.passed
        assert report.images == 6
        assert report.miou == pytest.approx(100)  # the truth is its own mask
        assert report.drop == pytest.approx(0, abs=0.05)
        assert report.pixel_agreement == pytest.approx(100, abs=0.05)


def test_a_damaged_model_fails_against_its_reference(
    damaged: Bundle, seeded_bundle: Bundle, dataset: Dataset
) -> None:
    reference = open_reference(str(seeded_bundle.folder), seeded_bundle)
    limits = Limits(max_drop=1.0, max_class_drop=5.0, min_agreement=99.0)
    report = verify(damaged, dataset=dataset, reference=reference, limits=limits)
    missed = {gate.name for gate in report.gates if not gate.passed}
    assert {"mIoU drop", "pixel agreement"} <= missed
    assert any(name.startswith("class IoU drop (") for name in missed)
    assert report.miou is not None
    assert report.reference_miou == pytest.approx(100)
    assert report.drop == pytest.approx(100 - report.miou)
    assert report.worst_class is not None
    assert report.worst_class.drop >= report.drop


def test_without_a_reference_only_the_model_is_measured(
    seeded_bundle: Bundle, dataset: Dataset
) -> None:
    report = verify(seeded_bundle, dataset=dataset, limits=DEFAULTS)
    assert report.miou == pytest.approx(100)
    assert (report.reference_miou, report.drop, report.worst_class) == (None, None, None)
    assert len(report.gates) == 2


def renamed(dataset: Dataset, folder: Path, names: list[str]) -> Dataset:
    """The same files under other class names."""
    shutil.copytree(dataset.origin, folder)
    (folder / "dataset.json").write_text(msgspec.json.encode({"classes": names}).decode())
    return open_dataset(folder)


def test_classes_are_matched_by_name(
    seeded_bundle: Bundle, dataset: Dataset, tmp_path: Path
) -> None:
    """In another order, and written otherwise: the same measurement."""
    names = list(seeded_bundle.manifest.labels.classes)
    order = np.random.default_rng(0).permutation(len(names))
    shuffled = renamed(dataset, tmp_path / "data", [f" {names[i].upper()} " for i in order])
    inverse = np.full(256, 255, np.uint8)  # ignored pixels stay so
    inverse[order] = np.arange(len(order))
    for path in (tmp_path / "data" / "masks").iterdir():
        write_mask(inverse[read_mask(path)], path)
    report = verify(seeded_bundle, dataset=shuffled, limits=DEFAULTS)
    assert report.miou == pytest.approx(100)
    assert not report.differences


def test_classes_of_one_side_alone_are_shown_and_not_counted(
    seeded_bundle: Bundle, dataset: Dataset, tmp_path: Path
) -> None:
    names = ["Sky", "Castle", *seeded_bundle.manifest.labels.classes[2:]]
    other = renamed(dataset, tmp_path / "data", names)
    report = verify(seeded_bundle, dataset=other, limits=DEFAULTS)
    assert report.differences == Differences(data_only=("Castle",), model_only=("Building",))
    assert report.miou == pytest.approx(100)  # what is castle there is building here: not counted
    assert any("Castle" in line for line in verify_lines(report))
    with pytest.raises(DatasetError, match=r"--strict: .*Castle.*Building"):
        verify(seeded_bundle, dataset=other, limits=DEFAULTS, strict=True)


def test_no_class_in_common_is_refused(
    seeded_bundle: Bundle, dataset: Dataset, tmp_path: Path
) -> None:
    other = renamed(dataset, tmp_path / "data", [f"thing {index}" for index in range(11)])
    with pytest.raises(DatasetError, match=r"no class in common: thing 0, .* and Sky, Building"):
        verify(seeded_bundle, dataset=other, limits=DEFAULTS)


def test_images_that_cannot_be_measured_are_skipped_by_name(
    seeded_bundle: Bundle, dataset: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(dataset.origin, tmp_path / "data")
    images, masks = tmp_path / "data" / "images", tmp_path / "data" / "masks"
    first, second, third, *_ = sorted(path.stem for path in masks.iterdir())
    next(images.glob(f"{first}.*")).write_bytes(b"")
    write_mask(np.zeros((3, 3), np.uint8), masks / f"{second}.png")
    size = read_mask(masks / f"{third}.png").shape
    write_mask(np.full(size, 77, np.uint8), masks / f"{third}.png")
    faulty = open_dataset(tmp_path / "data")
    report = verify(seeded_bundle, dataset=faulty, limits=DEFAULTS)
    assert [skipped.name for skipped in report.skipped] == [first, second, third]
    assert report.images == len(dataset) - 3
    for skipped, says in zip(
        report.skipped, ("cannot be read as an image", "is 3x3, but its image", "holds the id 77"),
        strict=True,
    ):  # fmt: skip
        assert says in skipped.reason
    assert f"3 of {len(dataset)} images skipped" in verify_lines(report)[0]
    with pytest.raises(SourceError, match="cannot be read as an image"):
        verify(seeded_bundle, dataset=faulty, limits=DEFAULTS, strict=True)


def test_a_data_set_of_nothing_but_faults_is_refused(
    seeded_bundle: Bundle, dataset: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(dataset.origin, tmp_path / "data")
    for path in (tmp_path / "data" / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="none of 6 images can be measured, the first for: "):
        verify(seeded_bundle, dataset=open_dataset(tmp_path / "data"), limits=DEFAULTS)


def test_a_reference_with_other_classes_is_refused(seeded_bundle: Bundle, tmp_path: Path) -> None:
    import torch
    from literal import nvlabs_state

    torch.save(nvlabs_state(classes=5), tmp_path / "w.pth")
    with pytest.raises(DatasetError, match="has 5 classes, the bundle has 11"):
        open_reference(str(tmp_path / "w.pth"), seeded_bundle)


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
def test_gates(value: float, limit: float, most: bool, least: bool) -> None:
    assert at_most("x", value, limit).passed is most
    assert at_least("x", value, limit).passed is least


def test_camvid_miou_equals_that_of_pytorch(
    camvid_weights: Path, camvid: Path, tmp_path: Path
) -> None:
    """A tenth of the test images; all 147 are measured by the README's command."""
    from dataclasses import replace

    from edgeseg.deploy import export_bundle
    from edgeseg.request import ExportRequest

    whole = open_dataset(camvid, split="test")
    dataset = replace(whole, items=whole.items[::10])
    bundle = export_bundle(
        ExportRequest(weights=str(camvid_weights), target="onnxruntime", folder=tmp_path / "b"),
        tell=lambda _line: None,
    ).bundle
    reference = open_reference(str(camvid_weights), bundle)
    report = verify(bundle, dataset=dataset, reference=reference, limits=DEFAULTS)
    assert report.passed
    assert report.miou is not None
    assert report.miou > 40
    assert report.drop == pytest.approx(0, abs=0.02)
    assert report.pixel_agreement == pytest.approx(100, abs=0.02)
