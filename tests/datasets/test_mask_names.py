"""Masks whose names fit their images in other ways, or do not, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from form_writers import put_between
from forms import count, count_plain
from guide import is_in_the_guide
from PIL import Image

from edgeseg.data_rules import Rules
from edgeseg.datasets import open_dataset
from edgeseg.errors import DatasetError


def write(root: Path, images: list[str], masks: list[str], folder: str = "images") -> None:
    truth = "SegmentationClass" if folder == "JPEGImages" else "masks"
    for path in (*(root / folder / one for one in images), *(root / truth / one for one in masks)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6)).save(path)


@pytest.mark.parametrize("folder", ["images", "JPEGImages"])
def test_two_masks_of_one_name_are_not_chosen_from(folder: str, tmp_path: Path) -> None:
    write(tmp_path, ["a.png", "b.png"], ["a.png", "a.tif", "b.png"], folder)
    found = open_dataset(tmp_path)
    assert [item.name for item in found.items] == ["b"]
    (left,) = found.unpaired
    masks = found.items[0].mask_path.parent
    assert left.reason == (
        f"{tmp_path}/{folder}/a.png has the masks {masks}/a.png and {masks}/a.tif; keep one of them"
    )
    assert is_in_the_guide(left.reason)


@pytest.mark.parametrize("given", [None, "_labelIds", "_color"])
@pytest.mark.parametrize("third", ["", "_instances"])
def test_masks_of_another_suffix_are_left_out(
    given: str | None, third: str, tmp_path: Path
) -> None:
    suffixes = ("_labelIds", "_color", third)
    masks = [f"{name}{suffix}.png" for name in ("a", "b_1") for suffix in suffixes]
    write(tmp_path, ["a.jpg", "b_1.jpg"], masks)
    found = open_dataset(tmp_path, rules=Rules(mask_suffix=given))
    read = given or ("" if third == "" else "_labelIds")
    assert [item.mask_path.name for item in found.items] == [f"a{read}.png", f"b_1{read}.png"]
    assert not found.unpaired
    told = [note for note in found.notes if "left out" in note]
    assert told == [
        f"2 masks of the same images with {other!r} after the image's name are left out; "
        f"those with {read!r} are read; --mask-suffix chooses"
        for other in sorted({*suffixes} - {read})
    ]


def test_masks_of_another_suffix_are_no_images_in_a_folder_of_both(tmp_path: Path) -> None:
    names = ["a.png", "a_color.png", "a_labelIds.png", "b_color.png", "b_labelIds.png"]
    write(tmp_path, ["b.png"], [], ".")
    write(tmp_path, names, [], ".")
    rules = Rules(images_dir=".", masks_dir=".", mask_suffix="_labelIds")
    found = open_dataset(tmp_path, rules=rules).require_complete()
    assert [item.name for item in found.items] == ["a", "b"]
    assert any("2 masks of the same images with '_color'" in note for note in found.notes)


def test_a_mask_of_an_image_that_is_not_there_is_no_other_suffix(tmp_path: Path) -> None:
    write(tmp_path, ["a.jpg", "b.jpg", "c.jpg"], ["a.png", "b.png", "c.png", "a_2.png"])
    (left,) = open_dataset(tmp_path).unpaired
    assert left.reason == f"{tmp_path}/masks/a_2.png has no image of its own in {tmp_path}/images"


def test_a_mask_may_have_the_whole_name_of_its_image(tmp_path: Path) -> None:
    put_between("images", "masks", ending=".png.png")(tmp_path / "data", "a")
    found = open_dataset(tmp_path / "data").require_complete()
    np.testing.assert_array_equal(count(found), count_plain(tmp_path / "plain"))


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        ("a_truth.png", "a_truth.png may be the mask of a.jpg: say so with --mask-suffix _truth"),
        ("a-truth.png", "a-truth.png may be the mask of a.jpg: say so with --mask-suffix=-truth"),
        ("mask_a.png", "mask_a.png may be the mask of a.jpg, but has 'mask_' before the image's"),
        ("mask_a.png", "there is no option; rename the masks as their images, as a.png"),
        ("0.png", "of an image such as a.jpg and a mask such as 0.png, rename the mask"),
    ],
)  # fmt: skip
def test_names_that_do_not_fit_are_told_with_what_to_do(
    mask: str, says: str, tmp_path: Path
) -> None:
    write(tmp_path, ["a.jpg"], [mask])
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)
    assert says in str(caught.value)
    if "--mask-suffix" in says:
        suffix = says.rpartition("--mask-suffix")[2][1:]
        found = open_dataset(tmp_path, rules=Rules(mask_suffix=suffix))
        assert len(found.require_complete()) == 1
