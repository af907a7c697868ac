from __future__ import annotations

import itertools
import os
import weakref
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from guide import is_in_the_guide
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeseg.calibration.pictures import list_pictures
from edgeseg.datasets import FilePair, MaskFile, Unpaired, match_classes, open_dataset
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.request import ExportOptions
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import ROTATED, write_mask
from edgeseg.labels import Labels, parse_labels


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
    with pytest.raises(DatasetError, match="no split 'val'; it has: train, test"):
        open_dataset(tmp_path, split="val")


def test_camvid(camvid: Path) -> None:
    sizes = {split: len(open_dataset(camvid, split=split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 367, "val": 101, "test": 147}
    sample = next(iter(open_dataset(camvid, split="test")))
    assert sample.image.shape == (360, 480, 3)
    assert sample.mask.max() <= 11


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30
)
@given(
    images=st.sets(st.sampled_from("abcdef"), min_size=1), masks=st.sets(st.sampled_from("abcdef"))
)
def test_each_file_is_in_a_pair_or_left_over(
    images: set[str], masks: set[str], tmp_path_factory
) -> None:
    root = make(tmp_path_factory.mktemp("data"), sorted(images | masks))
    for name in masks - images:
        (root / "images" / f"{name}.png").unlink()
    for name in images - masks:
        (root / "masks" / f"{name}.png").unlink()
    if not images & masks:
        with pytest.raises(
            DatasetError,
            match=r"without the other: |no image in .* has a mask of its name",
        ):
            open_dataset(root)
        return
    dataset = open_dataset(root)
    assert [item.name for item in dataset.items] == sorted(images & masks)
    alone = [*sorted(images - masks), *sorted(masks - images)]
    assert [left.name for left in dataset.unpaired] == alone


def test_what_is_left_over_is_told_with_its_path(tmp_path: Path) -> None:
    make(tmp_path, ["a", "b", "c"])
    (tmp_path / "masks" / "b.png").unlink()
    (tmp_path / "images" / "c.png").unlink()
    images, masks = tmp_path / "images", tmp_path / "masks"
    unpaired = open_dataset(tmp_path).unpaired
    assert unpaired == (
        Unpaired(name="b", reason=f"{images}/b.png has no mask; there is no {masks}/b.png"),
        Unpaired(name="c", reason=f"{masks}/c.png has no image of its own in {images}"),
    )
    assert all(is_in_the_guide(left.reason) for left in unpaired)


def test_a_whole_data_set_is_complete(tmp_path: Path) -> None:
    complete = open_dataset(make(tmp_path, ["a", "b", "c"]))
    assert complete.require_complete() is complete
    for name in ("b", "c"):
        (tmp_path / "masks" / f"{name}.png").unlink()
    with pytest.raises(
        DatasetError,
        match=r"not complete; .* without the other: 2, the first: .*b\.png has no mask",
    ):
        open_dataset(tmp_path).require_complete()


def test_the_hash_of_a_data_set_is_that_of_its_pairs(tmp_path: Path) -> None:
    complete = open_dataset(make(tmp_path, ["a", "b"])).sha256
    make(tmp_path, ["a", "b", "c"])
    (tmp_path / "masks" / "c.png").unlink()
    assert open_dataset(tmp_path).sha256 == complete


def test_a_folder_whose_name_is_no_text_has_a_title_that_json_holds(tmp_path: Path) -> None:
    """Such bytes reach Python as surrogates, and no report could be written."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "a.png").touch()
    assert open_dataset(folder).title == "caf?"


def test_images_of_one_name_are_no_pair(tmp_path: Path) -> None:
    """The mask is one of theirs, and nobody knows whose."""
    make(tmp_path, ["a", "b"])
    Image.new("RGB", (8, 6)).save(tmp_path / "images" / "a.jpg")
    dataset = open_dataset(tmp_path)
    assert [item.name for item in dataset.items] == ["b"]
    (left,) = dataset.unpaired
    assert left.name == "a"
    assert left.reason == (
        f"{tmp_path}/images/a.jpg has the same name as a.png; keep the one that the mask is of"
    )
    assert is_in_the_guide(left.reason)


def test_endings_may_be_in_upper_case(tmp_path: Path) -> None:
    make(tmp_path, ["a", "b"])
    (tmp_path / "images" / "a.png").rename(tmp_path / "images" / "a.PNG")
    (tmp_path / "masks" / "b.png").rename(tmp_path / "masks" / "b.PNG")
    assert [sample.name for sample in open_dataset(tmp_path).require_complete()] == ["a", "b"]


def test_hidden_files_are_no_images_and_no_masks(tmp_path: Path) -> None:
    """macOS puts a ._NAME beside each file that it copies to a foreign disk."""
    make(tmp_path, ["a"])
    for folder in ("images", "masks"):
        (tmp_path / folder / "._a.png").write_bytes(b"\0\5\x16\7")
        (tmp_path / folder / ".DS_Store").touch()
    assert [item.name for item in open_dataset(tmp_path).require_complete().items] == ["a"]
    assert [picture.name for picture in list_pictures(str(tmp_path))] == ["a"]


def test_an_export_asks_for_a_whole_data_set(tmp_path: Path) -> None:
    make(tmp_path, ["a", "b"])
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(DatasetError, match="is not complete"):
        fill_defaults(ExportOptions(weights="w.pth", precision="fp32", data=str(tmp_path)))


@dataclass(frozen=True, kw_only=True)
class Misfit:
    name: str
    mask_wh: tuple[int, int]
    orientation: int = 1
    says: str


MISFITS = [
    Misfit(name="another size", mask_wh=(4, 4),
           says="a.png is 4x4, but its image a.png is 6x8 (height x width); give the image its own "
           "mask"),
    Misfit(name="of the image as stored", mask_wh=(8, 6), orientation=6,
           says="a.png is 6x8, but its image a.png is 8x6 (height x width): the mask fits the "
           "image before its EXIF rotation; turn the mask, or remove the image's tag"),
    Misfit(name="another size than the image as stored", mask_wh=(4, 4), orientation=6,
           says="a.png is 4x4, but its image a.png is 8x6 (height x width); give the image its own "
           "mask"),
    Misfit(name="turned without a tag", mask_wh=(6, 8),
           says="a.png is 8x6, but its image a.png is 6x8 (height x width); give the image its own "
           "mask"),
]  # fmt: skip


@pytest.mark.parametrize("case", MISFITS, ids=lambda case: case.name)
def test_a_mask_of_another_size_is_named(case: Misfit, tmp_path: Path) -> None:
    make(tmp_path, ["a"])
    turn(tmp_path / "images" / "a.png", case.orientation)
    Image.new("L", case.mask_wh).save(tmp_path / "masks" / "a.png")
    (item,) = open_dataset(tmp_path).items
    with pytest.raises(DatasetError) as caught:
        item.read()
    assert str(caught.value) == f"{tmp_path}/masks/{case.says}"
    assert is_in_the_guide(str(caught.value))


def turn(path: Path, orientation: int) -> None:
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = orientation
        image.save(path, exif=exif)


def test_a_mask_that_is_turned_as_its_image_is_fits(tmp_path: Path) -> None:
    make(tmp_path, ["a"])
    for folder in ("images", "masks"):
        turn(tmp_path / folder / "a.png", 6)
    (sample,) = open_dataset(tmp_path)
    assert sample.mask.shape == sample.image.shape[:2] == (8, 6)


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_an_empty_file_is_named(folder: str, tmp_path: Path) -> None:
    make(tmp_path, ["a"])
    path = tmp_path / folder / "a.png"
    path.write_bytes(b"")
    with pytest.raises(SourceError) as caught:
        list(open_dataset(tmp_path))
    assert str(caught.value) == f"{path} is empty (0 bytes); restore or remove it"


def test_a_sample_tells_how_its_image_was_changed(tmp_path: Path) -> None:
    """Also where its classes are matched with a model's."""
    make(tmp_path, ["a", "b"])
    Image.new("LA", (6, 8)).save(tmp_path / "images" / "a.png")
    turn(tmp_path / "images" / "a.png", 6)
    (tmp_path / "dataset.json").write_text('{"classes": ["x", "y"]}')
    dataset = open_dataset(tmp_path)
    matched, _ = match_classes(dataset, two_classes("y", "x"))
    for some in (dataset, matched):
        assert [sample.conversions for sample in some] == [("gray", "alpha", ROTATED), ()]
    assert [int(sample.mask[0, 0]) for sample in matched] == [1, 0]


def two_classes(*names: str) -> Labels:
    return parse_labels({"classes": list(names)}, origin="test")


def test_what_is_left_over_stays_so_in_a_part_and_in_a_models_classes(tmp_path: Path) -> None:
    make(tmp_path, ["a", "b", "c"])
    (tmp_path / "masks" / "c.png").unlink()
    dataset = open_dataset(tmp_path)
    matched, _ = match_classes(dataset, two_classes("x", "y"))
    assert dataset.take_evenly(1).unpaired == matched.unpaired == dataset.unpaired


def test_an_id_outside_a_models_classes_is_named(tmp_path: Path) -> None:
    make(tmp_path, ["a", "b", "c"])  # the ids 0, 1 and 2
    matched, _ = match_classes(open_dataset(tmp_path), two_classes("x", "y"))
    *_, last = matched.items
    with pytest.raises(
        DatasetError, match=r"the mask of c holds the id 2, but .* has 2 classes"
    ) as caught:
        last.read()
    assert is_in_the_guide(str(caught.value))


@pytest.mark.parametrize("matched", [False, True], ids=["as it is", "in a model's classes"])
def test_one_image_at_a_time_is_in_memory(matched: bool, tmp_path: Path) -> None:
    make(tmp_path, ["a"])
    write_mask(np.zeros((6, 8), np.uint8), tmp_path / "masks" / "a.png")
    dataset = open_dataset(tmp_path)
    pair = FilePair(tmp_path / "images" / "a.png", MaskFile(tmp_path / "masks" / "a.png"))
    dataset = replace(dataset, items=(pair,) * 300)
    if matched:
        dataset, _ = match_classes(dataset, two_classes("x", "y"))
    read: list[weakref.ref[np.ndarray]] = []
    for sample in dataset:
        read += [weakref.ref(sample.image), weakref.ref(sample.mask)]
        # This sample's, and while its name is still that of the last one, the last one's.
        assert sum(array() is not None for array in read) <= 4
    assert len(read) == 600


def test_nothing_there(tmp_path: Path) -> None:
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(DatasetError):
            open_dataset(folder)
    make(tmp_path, [])
    with pytest.raises(DatasetError, match="holds no images"):
        open_dataset(tmp_path)


def test_the_demo_is_a_data_set() -> None:
    dataset = open_dataset("demo")
    assert (len(dataset), dataset.split, dataset.title) == (100, "test", "demo")
    assert dataset.labels is not None
    sample = next(iter(dataset))
    assert sample.image.shape == (512, 512, 3)
    assert sample.mask.shape == (512, 512)
    np.testing.assert_array_equal(dataset.items[0].image(), sample.image)
    assert len(open_dataset("demo", split="calibration")) == 300
    with pytest.raises(DatasetError, match="no split 'best'; take one of train, calibration, val"):
        open_dataset("demo", split="best")


@given(st.integers(1, 30), st.integers(1, 30))
def test_a_spread_is_a_part_at_equal_distances(there: int, wanted: int) -> None:
    whole = open_dataset("demo", split="train")
    part = replace(whole, items=whole.items[:there]).take_evenly(wanted)
    assert 1 <= len(part) <= there
    assert len(part) >= min(there, wanted)
    places = [whole.items.index(item) for item in part.items]
    assert len({b - a for a, b in itertools.pairwise(places)}) <= 1
