"""Which images count, and which are skipped or converted, by name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from verified import verified

from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import read_mask, write_mask
from edgeseg.reports.report import read_report
from edgeseg.reports.terminal import describe_report


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
    lines = describe_report(report)
    assert any("skipped: 4 (--report FOLDER names all), the first: " in line for line in lines)
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
