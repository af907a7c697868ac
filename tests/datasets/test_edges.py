from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from guide import is_in_the_guide
from PIL import Image

from edgeseg.data_rules import Rules
from edgeseg.datasets import (
    Dataset,
    FilePair,
    MaskFile,
    Sample,
    Survey,
    match_classes,
    open_dataset,
    reading,
)
from edgeseg.datasets.edges import find_edge_ids, looks_smoothed
from edgeseg.datasets.reading import Reading
from edgeseg.datasheet.looking import look_at
from edgeseg.demo import draw_scene
from edgeseg.errors import DatasetError
from edgeseg.labels import parse_labels
from edgeseg.progress import SILENT
from edgeseg.verification.reader import Readable


def smoothed() -> np.ndarray:
    """A disk, drawn four times as large and made smaller with all shades between."""
    rows, columns = np.indices((160, 160))
    disk = Image.fromarray((((rows - 80) ** 2 + (columns - 80) ** 2 < 3000) * 255).astype(np.uint8))
    return np.asarray(disk.resize((40, 40), Image.Resampling.BILINEAR))


def test_a_smoothed_mask_is_known_by_its_edges() -> None:
    mask = smoothed()
    assert find_edge_ids(mask) == set(np.unique(mask).tolist()) - {0, 255}
    assert looks_smoothed(mask)
    assert not looks_smoothed(np.kron(np.arange(30).reshape(5, 6), np.ones((3, 3), np.int64)))


def test_a_smoothed_mask_of_few_classes_is_refused_as_one() -> None:
    reading = Reading(origin="d", classes=2, ignored=(255,), table={0: 0, 1: 1, 255: 255})
    item = FilePair(Path("a.jpg"), MaskFile(Path("a.png")))
    with pytest.raises(DatasetError, match="lie along edges only, as smoothing") as caught:
        reading.apply(smoothed(), item)
    assert is_in_the_guide(str(caught.value))


def test_smoothed_masks_whose_ids_are_all_classes_are_noted() -> None:
    """With more than 127 classes, as ADE20K has, every shade of an edge may be one."""
    survey = Survey()
    image = np.zeros((40, 40, 3), np.uint8)
    survey.add(Sample(name="sharp", image=image, mask=np.uint8(149) * (smoothed() > 127)))
    survey.add(Sample(name="a", image=image, mask=smoothed() // 2))
    (note,) = Survey.join([survey]).notes(None)
    assert (
        "masks that look smoothed, with ids along edges that lie between those on both sides: 1, "
        "the first a" in note
    )


def turn(mask: np.ndarray, interpolation: int) -> np.ndarray:
    height, width = mask.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.4, 1)
    border = cv2.BORDER_REPLICATE
    return cv2.warpAffine(mask, matrix, (width, height), flags=interpolation, borderMode=border)


def halve(mask: np.ndarray, interpolation: int) -> np.ndarray:
    return cv2.resize(mask, None, fx=0.5, fy=0.5, interpolation=interpolation)


@pytest.mark.parametrize("order", [range(12), (3, 9, 0, 11, 5, 1, 8, 2, 10, 4, 7, 6)])
def test_smoothed_masks_of_few_classes_are_known(order: Sequence[int]) -> None:
    """Drawn streets have eleven classes; every id between two of them is one of them."""
    for seed in range(3):
        mask = np.uint8(order)[np.minimum(draw_scene(seed, 0, height=192, width=256).mask, 11)]
        sharp = (mask, turn(mask, cv2.INTER_NEAREST), halve(mask, cv2.INTER_NEAREST))
        assert not any(map(looks_smoothed, sharp))
        blurred = cv2.GaussianBlur(mask, (3, 3), 0.6)
        mixed = (blurred, turn(mask, cv2.INTER_LINEAR), halve(mask, cv2.INTER_LINEAR))
        assert all(map(looks_smoothed, mixed))


def test_smoothing_is_seen_in_the_ids_of_the_file(tmp_path: Path) -> None:
    """A reading gives other ids, which hide it: those of `foreground`, of 0 and 255, the most."""
    shades, sharp = smoothed(), np.uint8(255) * (smoothed() > 127)
    jpeg = [
        cv2.imdecode(cv2.imencode(".jpg", sharp, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], -1)
        for quality in (75, 95)
    ]
    masks = {"a": (shades, 1), "b": (jpeg[0], 1), "c": (jpeg[1], 1), "d": (sharp, 0)}
    for folder, (mask, told) in masks.items():
        readable = Readable(save_foreground(mask, tmp_path / folder).items, strict=False)
        ((_, sample),) = readable
        assert set(np.unique(sample.mask)) == {0, 1}
        assert sum("look smoothed" in note for note in readable.survey.notes(None)) == told
        rules = Rules(foreground=(255,))
        sheet, _ = look_at(
            str(tmp_path / folder), split=None, rules=rules, pictures=0, progress=SILENT
        )
        assert sum("look smoothed" in note for note in sheet.splits[0].notes) == told


def test_only_a_survey_looks_for_smoothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes as long as to read the ids, and an export reads each mask many times."""
    looked: list[np.ndarray] = []
    monkeypatch.setattr(reading, "looks_smoothed", lambda mask, **_: not looked.append(mask))
    data = save_foreground(smoothed(), tmp_path)
    assert [sample.smoothed for sample in data] == [None]
    assert not looked
    assert [sample.smoothed for _, sample in Readable(data.items, strict=False)] == [True]
    assert len(looked) == 1


def save_foreground(mask: np.ndarray, folder: Path) -> Dataset:
    """Save a mask as its image, too, and match it with a model of a background and a foreground."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(mask).save(folder / kind / "one.png")
    data = open_dataset(folder, rules=Rules(foreground=(255,)))
    return match_classes(data, parse_labels({"classes": ["no", "yes"]}, origin="test"))[0]
