"""KITTI, BDD100K, Mapillary Vistas and Cityscapes as they are published, without a dataset.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from form_writers import FORMS, Save, put_between, write_form
from forms import VOID, count, draw_scenes, save_ids, save_image, write_plain
from PIL import Image

from edgeseg.datasets import Rules, open_dataset
from edgeseg.errors import DatasetError, SourceError
from edgeseg.labels import get_known_labels
from edgeseg.pixels import ClassMap

STREETS = get_known_labels("cityscapes")
# cityscapesScripts, helpers/labels.py: the ids and colors of the train ids 0, 1, ... 10.
LABEL_IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23]
COLORS = [
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153),
    (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180),
]  # fmt: skip
DYNAMIC = (111, 74, 0)  # a label that is not evaluated


@pytest.fixture
def plain(tmp_path: Path) -> np.ndarray:
    """The scenes' ids, 0 to 10, as Cityscapes' train ids."""
    root = write_plain(tmp_path / "plain")
    (root / "dataset.json").write_text(json.dumps({"classes": list(STREETS.classes)}))
    return count(open_dataset(root), STREETS)


def save_label_ids(ids: ClassMap, path: Path) -> None:
    table = np.zeros(256, np.uint8)
    table[: len(LABEL_IDS)] = LABEL_IDS
    table[VOID] = 255
    save_ids(table[ids], path)


def save_street_colors(ids: ClassMap, path: Path) -> None:
    table = np.zeros((256, 3), np.uint8)
    table[: len(COLORS)] = COLORS
    table[VOID] = DYNAMIC
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(table[ids]).convert("RGBA").save(path)


def test_kitti(plain: np.ndarray, tmp_path: Path) -> None:
    put_between("{}/image_2", "{}/semantic", save=save_label_ids)(tmp_path / "kitti", "training")
    found = open_dataset(tmp_path / "kitti")
    assert (found.layout, found.split, found.labels) == ("kitti", "training", STREETS)
    np.testing.assert_array_equal(count(found, STREETS), plain)


def test_kitti_painted(plain: np.ndarray, tmp_path: Path) -> None:
    write = put_between("{}/image_2", "{}/semantic_rgb", save=save_street_colors)
    write(tmp_path / "kitti", "training")
    found = open_dataset(tmp_path / "kitti", split="train")
    np.testing.assert_array_equal(count(found, STREETS), plain)
    assert any("polegroup count as pole, and those of license plate" in one for one in found.notes)


@pytest.mark.parametrize("name", [name for name in FORMS if name.startswith("BDD100K")])
def test_bdd100k(name: str, plain: np.ndarray, tmp_path: Path) -> None:
    root = write_form(FORMS[name], tmp_path / "bdd")
    (root / "dataset.json").unlink()
    found = open_dataset(root)
    assert (found.layout, found.split, found.labels) == ("bdd100k", "val", STREETS)
    np.testing.assert_array_equal(count(found, STREETS), plain)
    (item, *_) = found.items
    save_ids(np.full((48, 64), 19, np.uint8), item.truth.path)
    with pytest.raises(DatasetError, match="holds the ids 19, which BDD100K does not have"):
        item.read()


def test_mapillary_has_two_versions(tmp_path: Path) -> None:
    root = tmp_path / "vistas"
    for name in ("Mapillary v1.2", "Mapillary v2.0"):
        write_form(FORMS[name], root)
    config = json.loads((root / "config_v2.0.json").read_text())
    config["labels"][1]["readable"] = "Heaven"
    (root / "config_v2.0.json").write_text(json.dumps(config))
    found = open_dataset(root)
    assert (found.split, found.labels.classes[0]) == ("validation", "Sky")
    assert any(
        "of v1.2/labels are read, and not those of v2.0/labels" in one for one in found.notes
    )
    other = open_dataset(root, rules=Rules(masks_dir="v2.0/labels"))
    assert other.labels.classes[0] == "Heaven"
    assert not any("are read, and not" in one for one in other.notes)
    with pytest.raises(DatasetError, match="has no v3/labels whose classes a file names"):
        open_dataset(f"mapillary:{root}", rules=Rules(masks_dir="v3/labels"))


def test_what_mapillary_does_not_evaluate_is_not_counted(tmp_path: Path) -> None:
    root = write_form(FORMS["Mapillary v1"], tmp_path / "vistas")
    found = open_dataset(root)
    assert "Void" not in found.labels.classes
    np.testing.assert_array_equal(found.items[0].read().mask, draw_scenes()[0].ids)


def test_a_config_of_mapillary_that_is_damaged(tmp_path: Path) -> None:
    root = write_form(FORMS["Mapillary v1"], tmp_path / "vistas")
    (root / "config.json").write_text('{"labels": [{"name": "a"}]}')
    with pytest.raises(SourceError, match=r"config\.json cannot be read: 'color'"):
        open_dataset(root)


def write_cityscapes(root: Path, ending: str, save: Save = save_label_ids) -> Path:
    for index, scene in enumerate(draw_scenes()):
        name = f"ulm_{index:06d}_000019"
        save_image(scene, root / "leftImg8bit" / "val" / "ulm" / f"{name}_leftImg8bit.png")
        save(scene.ids, root / "gtFine" / "val" / "ulm" / f"{name}_gtFine_{ending}.png")
    return root


def test_cityscapes(plain: np.ndarray, tmp_path: Path) -> None:
    """Masks in train ids go first, then those in label ids, then the painted ones."""
    root = write_cityscapes(tmp_path / "city", "color", save_street_colors)
    painted = open_dataset(root)
    np.testing.assert_array_equal(count(painted, STREETS), plain)
    assert any("polegroup count as pole" in note for note in painted.notes)
    write_cityscapes(root, "labelIds")
    by_ids = open_dataset(root)
    assert by_ids.layout == "cityscapes"
    assert not any("polegroup" in note for note in by_ids.notes)
    np.testing.assert_array_equal(count(by_ids, STREETS), plain)
    write_cityscapes(root, "labelTrainIds", save_ids)
    np.testing.assert_array_equal(count(open_dataset(root), STREETS), plain)


def test_cityscapes_without_fine_masks(tmp_path: Path) -> None:
    (tmp_path / "leftImg8bit" / "val").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"has leftImg8bit/ and no gtFine/; unpack") as caught:
        open_dataset(tmp_path)
    assert "name your own folders with --images-dir and --masks-dir" in str(caught.value)
    (tmp_path / "gtCoarse" / "val").mkdir(parents=True)
    with pytest.raises(DatasetError, match="gtCoarse/ is not read, because its outlines are rough"):
        open_dataset(tmp_path)
