"""Data sets of 12 and 16 bits: with their range, the counts of the plain form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from forms import count, count_plain, draw_scenes, save_ids, write_classes

from edgeseg.calibration.pictures import find_calibration_rules, list_pictures
from edgeseg.calibration.sets import choose_calibration_set
from edgeseg.data_rules import NO_RULES, Rules, ValueRange, parse_rules
from edgeseg.datasets import open_dataset
from edgeseg.deploy.request import ExportOptions
from edgeseg.errors import DatasetError, SourceError, SpecError

TWELVE = ValueRange(0, 4095)


def deepen(image: np.ndarray, low: int, high: int) -> np.ndarray:
    return np.rint(low + image.astype(float) * (high - low) / 255).astype(np.uint16)


def write_deep(folder: Path, low: int, high: int, suffix: str = ".tif", **content: object) -> Path:
    for scene in draw_scenes():
        path = folder / "images" / f"{scene.name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), deepen(scene.image, low, high))
        save_ids(scene.ids, folder / "masks" / f"{scene.name}.png")
    write_classes(folder, **content)
    return folder


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("low", "high"), [(0, 4095), (0, 65535), (200, 3000)])
def test_a_range_gives_the_counts_of_8_bits(
    suffix: str, low: int, high: int, tmp_path: Path
) -> None:
    plain = count_plain(tmp_path / "plain")
    by_file = open_dataset(write_deep(tmp_path / "file", low, high, suffix, range=[low, high]))
    np.testing.assert_array_equal(count(by_file), plain)
    rules = Rules(range=ValueRange(low, high))
    unsaid = write_deep(tmp_path / "option", low, high, suffix)
    by_option = open_dataset(unsaid, rules=rules)
    np.testing.assert_array_equal(count(by_option), plain)
    wrong = write_deep(tmp_path / "over", low, high, suffix, range=[0, 9])
    np.testing.assert_array_equal(count(open_dataset(wrong, rules=rules)), plain)
    # What is measured differs with the range, and so does the data set's hash.
    assert by_option.sha256 == by_file.sha256 != open_dataset(unsaid).sha256


def test_bands_are_scaled_too(tmp_path: Path) -> None:
    scene = draw_scenes()[0]
    bands = np.concatenate([scene.image, scene.image[:, :, :2]], axis=2)
    folder = write_deep(tmp_path, 0, 4095, range=[0, 4095])
    for path in (folder / "images").iterdir():
        path.unlink()
    np.save(folder / "images" / f"{scene.name}.npy", deepen(bands, 0, 4095))
    found = open_dataset(folder).read_as(5).items[0].read()
    np.testing.assert_array_equal(found.image, bands)


def test_images_of_8_bits_do_not_become_dark(tmp_path: Path) -> None:
    folder = write_deep(tmp_path, 0, 4095, ".png", range=[0, 4095])
    cv2.imwrite(str(folder / "images" / "street0.png"), draw_scenes()[0].image)
    with pytest.raises(SourceError, match="has 8 bits a sample, and a range of values"):
        open_dataset(folder).items[0].read()


def test_the_demo_has_no_range() -> None:
    with pytest.raises(DatasetError, match="demo has no image files, and a range of values"):
        open_dataset("demo", rules=Rules(range=TWELVE))


@pytest.mark.parametrize("value", [[1], [3, 1], [0, "4095x"], [False, 1], "0,4095", [0, 1, 2]])
def test_what_is_no_range_in_dataset_json(value: object) -> None:
    says = r"dataset.json: `range` is not a list of two numbers that rise, such as \[0, 4095\]$"
    with pytest.raises(SpecError, match=says):
        parse_rules({"range": value}, origin="dataset.json")


def drop_masks(folder: Path) -> Path:
    for path in (folder / "masks").iterdir():
        path.unlink()
    (folder / "masks").rmdir()
    return folder


def image_of(source: Path, rules: Rules) -> np.ndarray:
    return list_pictures(str(source), rules=rules)[0].image()


@pytest.mark.parametrize("prepare", [lambda folder: folder, drop_masks], ids=["masks", "no masks"])
def test_calibration_images_are_read_as_the_measured_ones(
    prepare: Callable[[Path], Path], tmp_path: Path
) -> None:
    expected = draw_scenes()[0].image
    measured = open_dataset(write_deep(tmp_path / "measured", 0, 4095, range=[0, 4095]))
    plain = prepare(write_deep(tmp_path / "plain", 0, 4095))
    own = prepare(write_deep(tmp_path / "own", 0, 999, range=[0, 999]))
    (plain / "dataset.json").unlink()

    def find(source: Path, given: Rules = NO_RULES) -> Rules:
        return find_calibration_rules(str(source), measured, given)

    np.testing.assert_array_equal(image_of(plain, find(plain)), expected)
    np.testing.assert_array_equal(image_of(own, find(own)), expected)
    assert find(own, Rules(range=TWELVE)) == Rules(range=TWELVE)
    chosen = choose_calibration_set(str(own), rules=find_calibration_rules(str(own), None))
    assert len(chosen.pictures) == len(draw_scenes())


def test_a_range_needs_images_to_read() -> None:
    rules = Rules(range=TWELVE)
    with pytest.raises(SpecError, match="--range needs --data; add --data DATASET"):
        ExportOptions(rules=rules)
    assert ExportOptions(rules=rules, calibration="images").rules == rules
