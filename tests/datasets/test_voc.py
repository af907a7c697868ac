"""Pascal VOC's own data, and what is particular to its form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from form_writers import FORMS, write_form
from forms import LABELS, VOID, count, draw_scenes, paint, save_ids, save_image, write_plain
from guide import is_in_the_guide
from PIL import Image

from edgeseg.datasets import Rules, open_dataset
from edgeseg.errors import DatasetError
from edgeseg.pixels import ClassMap

# http://host.robots.ox.ac.uk/pascal/VOC/voc2012/segexamples, in the order of the ids.
CLASSES = [
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
]  # fmt: skip
# VOClabelcolormap of the development kit.
COLORS = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128)}


def make_palette() -> np.ndarray:
    """The development kit's color map: the bits of an id, dealt to red, green and blue."""
    colors = np.zeros((256, 3), np.uint8)
    for own in range(256):
        for bit in range(8):
            for channel in range(3):
                colors[own, channel] |= (own >> (3 * bit + channel) & 1) << (7 - bit)
    return colors


def save_palette(ids: ClassMap, path: Path) -> None:
    image = Image.fromarray(ids)
    image.putpalette(make_palette().tobytes())
    image.save(path)


def save_rgb(ids: ClassMap, path: Path) -> None:
    Image.fromarray(make_palette()[ids]).save(path)


def write_voc(root: Path, save: Callable[[ClassMap, Path], None] = save_ids) -> Path:
    (root / "SegmentationClass").mkdir(parents=True)
    for index, scene in enumerate(draw_scenes()):
        save_image(scene, root / "JPEGImages" / f"2007_{index:06d}.png")
        save(scene.ids, root / "SegmentationClass" / f"2007_{index:06d}.png")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"2007_{index:06d}\n" for index in range(3)))
    return root


@pytest.mark.parametrize("save", [save_ids, save_palette, save_rgb])
@pytest.mark.parametrize("folder", ["VOC2012", "VOCdevkit/VOC2012"])
def test_its_own_data(save: Callable[[ClassMap, Path], None], folder: str, tmp_path: Path) -> None:
    write_voc(tmp_path / folder, save)
    found = open_dataset(tmp_path / folder.split("/")[0])
    assert found.labels is not None
    assert list(found.labels.classes) == CLASSES
    assert {own: found.labels.palette[own] for own in COLORS} == COLORS
    assert any("are named as those of Pascal VOC (2007_000000)" in note for note in found.notes)
    plain = write_plain(tmp_path / "plain")
    (plain / "dataset.json").write_text(f'{{"classes": {CLASSES}}}'.replace("'", '"'))
    expected = count(open_dataset(plain), found.labels)
    np.testing.assert_array_equal(count(found, found.labels), expected)


def test_its_void_is_painted_and_not_counted(tmp_path: Path) -> None:
    """Its color is (224, 224, 192), which the color map has at 255."""
    assert tuple(make_palette()[VOID]) == (224, 224, 192)
    (item, *_) = open_dataset(write_voc(tmp_path, save_rgb)).items
    np.testing.assert_array_equal(item.read().mask, draw_scenes()[0].ids)


def test_an_id_that_it_does_not_have(tmp_path: Path) -> None:
    data = open_dataset(write_voc(tmp_path))
    save_ids(np.full((48, 64), 21, np.uint8), tmp_path / "SegmentationClass" / "2007_000000.png")
    with pytest.raises(DatasetError, match="holds the ids 21, which Pascal VOC does not have"):
        data.items[0].read()


def test_named_classes_go_before_its_own(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "class_names.txt").write_text("nothing\nroad\n")
    found = open_dataset(tmp_path)
    assert found.labels is not None
    assert found.labels.classes == ("nothing", "road")
    assert any(f"names of the classes: {tmp_path}/class_names.txt" in note for note in found.notes)


def test_the_colors_of_an_export(tmp_path: Path) -> None:
    """As CVAT writes them: painted masks, labelmap.txt, and a split `default`."""
    root = tmp_path / "export"
    (root / "SegmentationClass").mkdir(parents=True)
    for scene in draw_scenes():
        ids = np.minimum(scene.ids, 2)
        save_image(scene, root / "JPEGImages" / f"{scene.name}.png")
        Image.fromarray(paint(ids)).save(root / "SegmentationClass" / f"{scene.name}.png")
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    names = "\n".join(scene.name for scene in draw_scenes())
    (root / "ImageSets" / "Segmentation" / "default.txt").write_text(names)
    colors = paint(np.arange(3, dtype=np.uint8)[None])[0].tolist()
    lines = [
        f"{name}:{r},{g},{b}::" for name, (r, g, b) in zip(LABELS.classes, colors, strict=False)
    ]
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(lines))
    found = open_dataset(root)
    assert found.split == "default"
    plain = write_plain(tmp_path / "plain", lambda ids, path: save_ids(np.minimum(ids, 2), path))
    np.testing.assert_array_equal(count(found), count(open_dataset(plain)))


def test_lists_may_hold_paths_and_what_is_not_there(tmp_path: Path) -> None:
    write_voc(tmp_path)
    lines = "JPEGImages/2007_000001.png SegmentationClass/2007_000001.png\n\n2007_000009\n"
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text(lines)
    found = open_dataset(tmp_path, split="val")
    assert [item.name for item in found.items] == ["2007_000001"]
    (left,) = found.unpaired
    assert left.reason == (f"{tmp_path}/JPEGImages has no image 2007_000009, which val.txt lists")
    assert is_in_the_guide(left.reason)


def test_each_image_takes_the_first_mask_that_it_has(tmp_path: Path) -> None:
    """train_aug lists images whose masks lie in two folders."""
    write_voc(tmp_path)
    (tmp_path / "SegmentationClassAug").mkdir()
    own = tmp_path / "SegmentationClass" / "2007_000002.png"
    own.rename(tmp_path / "SegmentationClassAug" / "2007_000002.png")
    save_ids(draw_scenes()[0].ids, tmp_path / "SegmentationClassAug" / "2007_000001.png")
    found = open_dataset(tmp_path).require_complete()
    folders = [item.truth.path.parent.name for item in found.items]
    assert folders == ["SegmentationClass", "SegmentationClass", "SegmentationClassAug"]


def test_two_years_at_once_are_refused(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        write_voc(tmp_path / year)
    with pytest.raises(DatasetError, match="holds VOC2007, VOC2012; give the folder of one"):
        open_dataset(tmp_path)


def test_folders_are_named_without_the_form(tmp_path: Path) -> None:
    root = write_form(FORMS["VOC"], tmp_path / "data")
    rules = Rules(images_dir="JPEGImages", masks_dir="SegmentationClass")
    assert open_dataset(root, rules=rules).layout == "folder"
    with pytest.raises(DatasetError, match="has folders of its own; leave voc: out to name yours"):
        open_dataset(f"voc:{root}", rules=rules)
    (root / "dataset.json").write_text(
        '{"images_dir": "JPEGImages", "masks_dir": "SegmentationClass"}'
    )
    assert open_dataset(root).layout == "folder"
