from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeseg.datasets import open_dataset
from edgeseg.errors import DatasetError, EdgesegError, SourceError
from edgeseg.images import read_image, read_mask, write_mask
from edgeseg.labels import known_labels


def make(folder: Path, names: list[str], *, size: tuple[int, int] = (8, 6)) -> Path:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        Image.new("RGB", size, (index, 0, 0)).save(folder / "images" / f"{name}.png")
        Image.new("L", size, index).save(folder / "masks" / f"{name}.png")
    return folder


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20
)
@given(names=st.lists(st.text("abc0123", min_size=1, max_size=5), min_size=1, unique=True))
def test_pairs_come_in_order_and_fit(names: list[str], tmp_path_factory) -> None:
    root = make(tmp_path_factory.mktemp("data"), names)
    samples = list(open_dataset(root))
    assert [sample.name for sample in samples] == sorted(names)
    for sample in samples:
        index = names.index(sample.name)
        assert (sample.mask == index).all()
        assert (sample.image[..., 2] == index).all()  # red is last in BGR


def test_splits(tmp_path: Path) -> None:
    make(tmp_path / "train", ["a", "b"])
    make(tmp_path / "test", ["c"])
    (tmp_path / "dataset.json").write_text('{"classes": ["x", "y"]}')
    dataset = open_dataset(tmp_path, split="test")
    assert len(dataset) == 1
    assert dataset.labels is not None
    assert dataset.labels.classes == ("x", "y")
    with pytest.raises(DatasetError, match="has the splits train, test; choose one with --split"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="no split 'val' .* it has: train, test"):
        open_dataset(tmp_path, split="val")


def test_camvid(camvid: Path) -> None:
    sizes = {split: len(open_dataset(camvid, split=split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 367, "val": 101, "test": 147}
    sample = next(iter(open_dataset(camvid, split="test")))
    assert sample.image.shape == (360, 480, 3)
    assert sample.mask.max() <= 11


def test_images_without_masks_are_named(tmp_path: Path) -> None:
    make(tmp_path, ["a", "b", "c"])
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(DatasetError, match="1 images in .* have no mask .* the first: b"):
        open_dataset(tmp_path)


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    make(tmp_path, ["a"])
    Image.new("L", (4, 4)).save(tmp_path / "masks" / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png is 4x4, but its image a\.png is 8x6"):
        list(open_dataset(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nbroken", b"not an image"])
def test_a_damaged_image_is_named(tmp_path: Path, content: bytes) -> None:
    make(tmp_path, ["a"])
    (tmp_path / "images" / "a.png").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.png cannot be read as an image"):
        list(open_dataset(tmp_path))


def test_an_image_too_large_to_be_true_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (300, 300)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(SourceError, match=r"a\.png cannot be read as an image"):
        read_image(tmp_path / "a.png")


def test_nothing_there(tmp_path: Path) -> None:
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(DatasetError):
            open_dataset(folder)
    make(tmp_path, [])
    with pytest.raises(DatasetError, match="holds no images"):
        open_dataset(tmp_path)


def test_a_colour_image_is_no_mask(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "m.png")
    with pytest.raises(EdgesegError, match="is a RGB image; a mask holds one class id a pixel"):
        read_mask(tmp_path / "m.png")


@pytest.mark.parametrize(("dtype", "mode"), [(np.uint8, "L"), (np.uint16, "I;16")])
def test_masks_keep_their_ids(tmp_path: Path, dtype: type, mode: str) -> None:
    mask = np.arange(12, dtype=dtype).reshape(3, 4) * (20 if dtype is np.uint8 else 100)
    write_mask(mask, tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == mode
    read = read_mask(tmp_path / "m.png")
    np.testing.assert_array_equal(read, mask)
    assert read.dtype == dtype


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_images_of_any_kind_are_read_as_bgr(tmp_path: Path, mode: str) -> None:
    grey = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (8, 1))
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert("RGB" if mode in {"RGBA", "CMYK"} else "L")
        image = image.convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    read = read_image(path)
    assert read.shape == (8, 128, 3)
    assert read.dtype == np.uint8
    if mode == "1":
        assert set(np.unique(read)) == {0, 255}
    else:
        np.testing.assert_allclose(read[..., 0], grey, atol=1)


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # Orientation: rotate by 90 degrees
    image.save(tmp_path / "photo.jpg", exif=exif)
    assert read_image(tmp_path / "photo.jpg").shape == (8, 4, 3)


def test_the_demo_is_a_data_set() -> None:
    dataset = open_dataset("demo")
    assert (len(dataset), dataset.split, dataset.title) == (100, "test", "demo")
    assert dataset.labels is not None
    sample = next(iter(dataset))
    assert sample.image.shape == (512, 512, 3)
    assert sample.mask.shape == (512, 512)
    np.testing.assert_array_equal(dataset.items[0].image(), sample.image)
    assert len(open_dataset("demo", split="calibration")) == 300
    with pytest.raises(DatasetError, match="no split 'best'; it has: train, calibration, val"):
        open_dataset("demo", split="best")


@given(st.integers(1, 30), st.integers(1, 30))
def test_a_spread_is_a_part_at_equal_distances(there: int, wanted: int) -> None:
    whole = open_dataset("demo", split="train")
    part = replace(whole, items=whole.items[:there]).spread(wanted)
    assert 1 <= len(part) <= there
    assert len(part) >= min(there, wanted)
    places = [whole.items.index(item) for item in part.items]
    assert len({b - a for a, b in itertools.pairwise(places)}) <= 1


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
    assert dataset.labels == known_labels(case.name)
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
    with pytest.raises(DatasetError, match=f"holds the ids {bad}, which"):
        item.read()


@pytest.mark.parametrize("name", ["ade20k", "cityscapes", "cocostuff", "camvid"])
def test_a_published_set_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"holds no images of {name}'s val split"):
        open_dataset(f"{name}:{tmp_path}")
    with pytest.raises(DatasetError, match="no published split 'x'; it has: train, val"):
        open_dataset(f"{name}:{tmp_path}", split="x")


def test_published_images_without_masks_are_counted(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(tmp_path / "images" / "validation" / f"{name}.jpg", "RGB", (1, 2, 3))
    put_mask(tmp_path / "annotations" / "validation" / "b.png", [0] * 8)
    with pytest.raises(DatasetError, match=r"2 of 3 images .* have no mask, the first: .*a\.png"):
        open_dataset(f"ade20k:{tmp_path}")


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
