"""CamVid's original 32 colors, and how they are grouped as the usual 11 classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from form_writers import Save, put_between
from forms import LABELS, VOID, count, count_plain, draw_scenes, save_ids, save_image
from PIL import Image

from edgeseg.datasets import Rules, match_classes, open_dataset
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels
from edgeseg.pixels import ClassMap

# MathWorks' camvidPixelLabelIDs, which follows SegNet: the colors of each of the 11 classes.
GROUPS = {
    "Sky": [(128, 128, 128)],
    "Building": [(0, 128, 64), (128, 0, 0), (64, 192, 0), (64, 0, 64), (192, 0, 128)],
    "Pole": [(192, 192, 128), (0, 0, 64)],
    "Road": [(128, 64, 128), (128, 0, 192), (192, 0, 64)],
    "Pavement": [(0, 0, 192), (64, 192, 128), (128, 128, 192)],
    "Tree": [(128, 128, 0), (192, 192, 0)],
    "SignSymbol": [(192, 128, 128), (128, 128, 64), (0, 64, 64)],
    "Fence": [(64, 64, 128)],
    "Car": [(64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)],
    "Pedestrian": [(64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)],
    "Bicyclist": [(0, 128, 192), (192, 0, 192)],
}
VOID_COLOR = (0, 0, 0)


def paint_originals(ids: ClassMap, path: Path) -> None:
    """Paint each class in all colors of its group, in turn."""
    painted = np.zeros((*ids.shape, 3), np.uint8)
    turn = np.add.outer(np.arange(ids.shape[0]), np.arange(ids.shape[1]))
    for own, name in enumerate(LABELS.classes):
        colors = np.array(GROUPS[name], np.uint8)
        where = ids == own
        painted[where] = colors[turn[where] % len(colors)]
    painted[ids == VOID] = VOID_COLOR
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(painted).save(path)


def write_original(root: Path, save: Save = paint_originals) -> Path:
    for index, scene in enumerate(draw_scenes()):
        save_image(scene, root / "701_StillsRaw_full" / f"0001TP_{index:06d}.png")
        save(scene.ids, root / "LabeledApproved_full" / f"0001TP_{index:06d}_L.png")
    return root


def write_copy(root: Path) -> Path:
    for split in ("train", "val"):
        for index, scene in enumerate(draw_scenes()):
            save_image(scene, root / split / f"0016E5_{index:05d}.png")
            paint_originals(scene.ids, root / f"{split}_labels" / f"0016E5_{index:05d}_L.png")
    return root


def write_class_dict(root: Path) -> None:
    """As copies have it, but with the names turned round."""
    found = open_dataset(root)
    rows = zip(found.labels.classes[::-1], found.labels.palette[::-1], strict=True)
    lines = [f"{name},{r},{g},{b}" for name, (r, g, b) in rows]
    (root / "class_dict.csv").write_text("\n".join(["name,r,g,b", *lines]))


@pytest.mark.parametrize("write", [write_original, write_copy])
@pytest.mark.parametrize("listed", [False, True])
def test_counts_are_those_of_the_11_classes(write: Save, listed: bool, tmp_path: Path) -> None:
    root = write(tmp_path / "camvid")
    if listed:
        write_class_dict(root)
    found = open_dataset(root)
    assert found.layout == "camvid32"
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))
    matched, differences = match_classes(found, LABELS)
    assert differences.data_only == ("Void",)
    assert any("CamVid's 32 classes are grouped as the 11 of SegNet" in x for x in matched.notes)


def test_its_32_classes(tmp_path: Path) -> None:
    """A model of the 32 classes is measured on them as they are."""
    found = open_dataset(write_original(tmp_path))
    assert len(found.labels.classes) == 32
    every = {color for colors in GROUPS.values() for color in colors} | {VOID_COLOR}
    assert set(found.labels.palette) == every
    matched, differences = match_classes(found, found.labels)
    assert not differences
    seen = found.labels.palette[matched.items[0].read().mask[30, 30]]
    (item, *_) = found.items
    assert seen == Image.open(item.truth.path).getpixel((30, 30))


def test_a_group_of_the_user_goes_first(tmp_path: Path) -> None:
    rules = Rules(merge={"Road": ("LaneMkgsDriv",)})
    matched, _ = match_classes(open_dataset(write_original(tmp_path), rules=rules), LABELS)
    assert not any("SegNet" in note for note in matched.notes)


def test_other_classes_are_not_grouped(tmp_path: Path) -> None:
    fewer = Labels(classes=LABELS.classes[:-1], palette=LABELS.palette[:-1])
    matched, differences = match_classes(open_dataset(write_original(tmp_path)), fewer)
    assert not any("SegNet" in note for note in matched.notes)
    assert "Column_Pole" in differences.data_only


def test_gray_masks_are_not_its_colors(tmp_path: Path) -> None:
    root = write_original(tmp_path, save_ids)
    with pytest.raises(DatasetError, match="which CamVid in its 32 colors does not have"):
        open_dataset(root).items[0].read()


def test_folders_of_its_copies_alone_are_not_camvid(tmp_path: Path) -> None:
    write = put_between("{}", "{}_labels", save=paint_originals)
    write(tmp_path, "train")
    assert open_dataset(tmp_path).layout == "beside"
