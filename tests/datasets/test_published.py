from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from guide import is_in_the_guide
from PIL import Image

from edgeseg.datasets import FilePair, MaskFile, open_dataset
from edgeseg.errors import DatasetError
from edgeseg.images import read_mask, write_mask
from edgeseg.labels import get_known_labels


def put(path: Path, mode: str, value: object, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def put_mask(path: Path, ids: list[int]) -> None:
    """A column for each id."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mask(np.tile(np.array(ids, np.uint8), (6, 1)), path)


@dataclass(frozen=True, kw_only=True)
class Published:
    name: str
    split: str
    image: str
    mask: str
    ids: list[int]
    classes: list[str | None]


PUBLISHED = [
    Published(
        name="ade20k",
        split="val",
        image="images/validation/ADE_val_00000001.jpg",
        mask="annotations/validation/ADE_val_00000001.png",
        ids=[0, 1, 2, 150],
        classes=[None, "wall", "building", "flag"],
    ),
    Published(
        name="cityscapes",
        split="val",
        image="leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png",
        mask="gtFine/val/ulm/ulm_000001_000019_gtFine_labelIds.png",
        ids=[0, 7, 8, 26, 29, 33, 255],
        classes=[None, "road", "sidewalk", "car", None, "bicycle", None],
    ),
    Published(
        name="cityscapes",
        split="train",
        image="leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png",
        mask="gtFine/train/ulm/ulm_000001_000019_gtFine_labelTrainIds.png",
        ids=[0, 13, 18, 255],
        classes=["road", "car", "bicycle", None],
    ),
    Published(
        name="cocostuff",
        split="val",
        image="images/val2017/000000000139.jpg",
        mask="stuffthingmaps/val2017/000000000139.png",
        ids=[0, 10, 12, 181, 255],
        classes=["person", "fire hydrant", "stop sign", "wood", None],
    ),
    Published(
        name="camvid",
        split="test",
        image="test/0001TP_008550.png",
        mask="testannot/0001TP_008550.png",
        ids=[0, 3, 10, 11],
        classes=["Sky", "Road", "Bicyclist", None],
    ),
]


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: f"{case.name} {case.split}")
def test_a_published_layout(case: Published, tmp_path: Path) -> None:
    put(tmp_path / case.image, "RGB", (1, 2, 3), size=(len(case.ids), 6))
    put_mask(tmp_path / case.mask, case.ids)
    dataset = open_dataset(f"{case.name}:{tmp_path}", split=case.split)
    (sample,) = dataset
    assert dataset.labels == get_known_labels(case.name)
    names = [None if i == dataset.labels.ignore_index else dataset.labels.classes[i]
             for i in sample.mask[0]]  # fmt: skip
    assert names == case.classes


@pytest.mark.parametrize(
    ("case", "bad"),
    [(case, bad) for case, bad in zip(PUBLISHED, (151, 34, None, 11, 12), strict=True) if bad],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_id_that_a_published_set_does_not_have(
    case: Published, bad: int, tmp_path: Path
) -> None:
    put(tmp_path / case.image, "RGB", (1, 2, 3), size=(2, 6))
    put_mask(tmp_path / case.mask, [case.ids[0], bad])
    (item,) = open_dataset(f"{case.name}:{tmp_path}", split=case.split).items
    with pytest.raises(DatasetError, match=f"holds the ids {bad}, which") as caught:
        item.read()
    if case.name == "cocostuff":
        assert is_in_the_guide(str(caught.value))


@pytest.mark.parametrize("name", ["ade20k", "cityscapes", "cocostuff", "camvid"])
def test_a_published_set_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"holds no images of {name}'s val split"):
        open_dataset(f"{name}:{tmp_path}")
    with pytest.raises(DatasetError, match="no published split 'x'; it has: train, val"):
        open_dataset(f"{name}:{tmp_path}", split="x")


def test_published_images_without_masks_are_left_over(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(tmp_path / "images" / "validation" / f"{name}.jpg", "RGB", (1, 2, 3))
    put_mask(tmp_path / "annotations" / "validation" / "b.png", [0] * 8)
    dataset = open_dataset(f"ade20k:{tmp_path}")
    assert [item.name for item in dataset.items] == ["b"]
    assert [left.name for left in dataset.unpaired] == ["a", "c"]
    assert dataset.unpaired[0].reason == (
        f"{tmp_path}/images/validation/a.jpg has no mask; there is no "
        f"{tmp_path}/annotations/validation/a.png"
    )
    (tmp_path / "annotations" / "validation" / "b.png").unlink()
    with pytest.raises(
        DatasetError, match=r"without the other: 3, the first: .*a\.jpg has no mask"
    ):
        open_dataset(f"ade20k:{tmp_path}")


def test_published_images_of_one_name_are_no_pair(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.jpg", "._b.jpg"):
        put(tmp_path / "images" / "validation" / name, "RGB", (1, 2, 3))
    for name in ("a.png", "b.png"):
        put_mask(tmp_path / "annotations" / "validation" / name, [0] * 8)
    dataset = open_dataset(f"ade20k:{tmp_path}")
    assert [item.name for item in dataset.items] == ["b"]
    assert [left.name for left in dataset.unpaired] == ["a"]


def test_coco_stuff_masks_may_lie_where_its_authors_unpack_them(tmp_path: Path) -> None:
    put(tmp_path / "images" / "val2017" / "1.jpg", "RGB", (1, 2, 3), size=(2, 6))
    put_mask(tmp_path / "annotations" / "val2017" / "1.png", [0, 255])
    assert len(open_dataset(f"cocostuff:{tmp_path}").require_complete()) == 1
    put_mask(tmp_path / "stuffthingmaps" / "val2017" / "1.png", [0, 255])
    (item,) = open_dataset(f"cocostuff:{tmp_path}").items
    assert item.mask_path.parent == tmp_path / "stuffthingmaps" / "val2017"


def names_of_ids(case: Published, folder: Path) -> dict[int, str | None]:
    """What each of a data set's own ids is read as; None is ignored."""
    put(folder / case.image, "RGB", (1, 2, 3))
    put_mask(folder / case.mask, [0] * 8)
    dataset = open_dataset(f"{case.name}:{folder}", split=case.split)
    (item,) = dataset.items
    assert isinstance(item, FilePair)
    assert isinstance(item.truth, MaskFile)
    ignored = dataset.labels.ignore_index
    return {
        own: None if train == ignored else dataset.labels.classes[train]
        for own, train in item.truth.ids.table.items()
    }


# cityscapesScripts, helpers/labels.py: the ids of the 19 labels that are not ignored in evaluation.
CITYSCAPES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole",
    19: "traffic light", 20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky",
    24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train", 32: "motorcycle",
    33: "bicycle",
}  # fmt: skip
# nightrome/cocostuff, labels.txt, whose numbers are one higher than those in the masks: the things
# that COCO took away, ...
COCO_REMOVED = {
    11: "street sign", 25: "hat", 28: "shoe", 29: "eye glasses", 44: "plate", 65: "mirror",
    67: "window", 68: "desk", 70: "door", 82: "blender", 90: "hair brush",
}  # fmt: skip
# ... and what stands on either side of each.
COCO_NEIGHBORS = {
    0: "person", 10: "fire hydrant", 12: "stop sign", 24: "giraffe", 26: "backpack",
    27: "umbrella", 30: "handbag", 43: "bottle", 45: "wine glass", 64: "bed", 66: "dining table",
    69: "toilet", 71: "tv", 81: "refrigerator", 83: "book", 89: "toothbrush", 91: "banner",
    181: "wood",
}  # fmt: skip
# SegNet-Tutorial, Scripts/test_segmentation_camvid.py.
CAMVID = [
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car",
    "Pedestrian", "Bicyclist", None,
]  # fmt: skip


def published(name: str) -> Published:
    return next(case for case in PUBLISHED if case.name == name)


def test_cityscapes_ids_are_those_of_its_scripts(tmp_path: Path) -> None:
    ignored = dict.fromkeys((*range(34), 255))
    assert names_of_ids(published("cityscapes"), tmp_path) == {**ignored, **CITYSCAPES}


def test_coco_stuff_ids_are_those_of_its_list(tmp_path: Path) -> None:
    names = names_of_ids(published("cocostuff"), tmp_path)
    assert names.keys() == {*range(182), 255} - COCO_REMOVED.keys()
    assert {own: names[own] for own in COCO_NEIGHBORS} == COCO_NEIGHBORS
    assert names[255] is None


def test_camvid_ids_are_those_of_segnet(tmp_path: Path) -> None:
    assert names_of_ids(published("camvid"), tmp_path) == dict(enumerate(CAMVID))


def test_ade20k_ids_are_those_of_its_list(shared: Path, tmp_path: Path) -> None:
    names = names_of_ids(published("ade20k"), tmp_path)
    assert names.pop(0) is None
    _, *rows = (shared / "data" / "ade20k_sample" / "objectInfo150.txt").read_text().splitlines()
    listed = {int(row.split("\t")[0]): row.split("\t")[-1].split(", ") for row in rows}
    assert names.keys() == listed.keys()
    for own, name in names.items():
        assert name in [synonym.strip() for synonym in listed[own]]


def test_the_real_ade20k_sample(shared: Path, tmp_path: Path) -> None:
    sample = shared / "data" / "ade20k_sample" / "sampleData"
    for part in ("images", "annotations"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "validation").symlink_to(sample / part)
    dataset = open_dataset(f"ade20k:{tmp_path}")
    assert len(dataset) == 3
    for item, one in zip(dataset.items, dataset, strict=True):
        raw = read_mask(sample / "annotations" / f"{item.name}.png").astype(int)
        np.testing.assert_array_equal(one.mask, np.where(raw == 0, 255, raw - 1))


def test_a_dataset_json_names_other_classes(tmp_path: Path) -> None:
    """As in somebody's own data set in the folders of a published one."""
    case = published("ade20k")
    put(tmp_path / case.image, "RGB", (1, 2, 3), size=(2, 6))
    put_mask(tmp_path / case.mask, [0, 1])
    (tmp_path / "dataset.json").write_text('{"classes": ["road", "grass"], "ignore_index": 200}')
    found = open_dataset(tmp_path)
    assert found.labels.classes == ("road", "grass")
    assert found.items[0].read().mask[0].tolist() == [0, 1]
    (tmp_path / "dataset.json").write_text('{"ignore_index": 3}')
    found = open_dataset(tmp_path)
    assert found.labels == get_known_labels("ade20k")
    assert found.rules.ignore_index == (3,)


def test_masks_of_coco_stuff_in_train_ids(tmp_path: Path) -> None:
    """As mmsegmentation makes them, beside those in the data set's own ids."""
    folder = tmp_path / "annotations" / "val2017"
    put(tmp_path / "images" / "val2017" / "000000000139.jpg", "RGB", (1, 2, 3), size=(2, 6))
    put_mask(folder / "000000000139.png", [12, 255])
    put_mask(folder / "000000000139_labelTrainIds.png", [11, 255])
    found = open_dataset(tmp_path)
    assert found.layout == "cocostuff"
    assert found.items[0].read().mask[0].tolist() == [11, 255]
    (folder / "000000000139_labelTrainIds.png").unlink()
    assert open_dataset(tmp_path).items[0].read().mask[0].tolist() == [11, 255]


@pytest.mark.parametrize("split", ["training", "train"])
def test_a_split_has_other_names(split: str, tmp_path: Path) -> None:
    put(tmp_path / "images" / "training" / "ADE_train_1.jpg", "RGB", (1, 2, 3))
    put_mask(tmp_path / "annotations" / "training" / "ADE_train_1.png", [0] * 8)
    found = open_dataset(tmp_path, split=split)
    assert (len(found), found.split) == (1, "train")
