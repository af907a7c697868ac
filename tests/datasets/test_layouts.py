"""Data sets in each form give the counts of the plain form, and are recognized as themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from form_writers import FORMS, Form, put_between, write_form
from forms import count, count_plain, draw_scenes, save_ids, save_image
from guide import is_in_the_guide
from shape_writers import SHAPE_FORMS

from edgeseg.calibration.pictures import list_pictures
from edgeseg.data_rules import Rules
from edgeseg.datasets import LAYOUT_NAMES, NO_RULES, SPLIT_NAMES, open_dataset, recognize
from edgeseg.errors import CalibrationError, DatasetError, EdgesegError

ALL_FORMS = FORMS | SHAPE_FORMS
each_form = pytest.mark.parametrize("form", ALL_FORMS.values(), ids=ALL_FORMS)


@pytest.fixture
def plain(tmp_path: Path) -> np.ndarray:
    return count_plain(tmp_path / "plain")


@each_form
def test_counts_are_those_of_the_plain_form(form: Form, plain: np.ndarray, tmp_path: Path) -> None:
    root = write_form(form, tmp_path / "data")
    found = open_dataset(root, split=form.splits[1])
    assert (found.layout, found.split) == (form.layout, form.splits[1])
    assert set(form.splits) <= set(found.splits)
    np.testing.assert_array_equal(count(found), plain)
    by_name = open_dataset(f"{form.layout}:{root}", split=form.splits[1])
    np.testing.assert_array_equal(count(by_name), plain)


@each_form
def test_a_form_is_told_in_a_line(form: Form, tmp_path: Path) -> None:
    """That of images/ and masks/ needs none."""
    root = write_form(form, tmp_path / "data")
    told = [note for note in open_dataset(root, split=form.splits[1]).notes if str(root) in note]
    usual = form is FORMS["images and masks"] or form is FORMS["splits below"]
    assert any("is read as" in note or "images are those of" in note for note in told) == (
        not usual
    )


@each_form
def test_calibration_takes_the_images_for_training(form: Form, tmp_path: Path) -> None:
    root = write_form(form, tmp_path / "data")
    names = [picture.name for picture in list_pictures(str(root))]
    assert len(names) == len(draw_scenes())
    assert all(form.splits[0] in name for name in names)


def test_every_layout_has_a_form_here() -> None:
    assert {form.layout for form in ALL_FORMS.values()} == set(LAYOUT_NAMES)


def test_a_split_for_measuring_is_not_calibrated_on(tmp_path: Path) -> None:
    FORMS["mmsegmentation"].write(tmp_path, "val")
    assert open_dataset(tmp_path).split == "val"
    with pytest.raises(CalibrationError, match="no split 'train'; it has: val; calibrating on"):
        list_pictures(str(tmp_path))


@pytest.mark.parametrize("other", SPLIT_NAMES["val"])
@pytest.mark.parametrize("asked", ["val", "validation"])
def test_splits_have_other_names(other: str, asked: str, plain: np.ndarray, tmp_path: Path) -> None:
    for split in (other, "train"):
        FORMS["mmsegmentation"].write(tmp_path / "data", split)
    found = open_dataset(tmp_path / "data", split=asked)
    assert found.split == other
    np.testing.assert_array_equal(count(found), plain)


def test_a_list_of_classes_is_read_for_the_forms_that_take_it_alone(tmp_path: Path) -> None:
    """A detector's classes.txt, say, does not stop a published data set from being recognized."""
    root = write_form(FORMS["ADE20K"], tmp_path / "data")
    (root / "dataset.json").unlink()
    (root / "classes.txt").write_text("0: wall\n1: floor\n")
    assert open_dataset(root).layout == "ade20k"
    other = write_form(FORMS["mmsegmentation"], tmp_path / "other")
    (other / "dataset.json").unlink()
    (other / "classes.txt").write_text("0: wall\n1: floor\n")
    with pytest.raises(EdgesegError, match="classes.txt have numbered lines, as '0: wall'"):
        open_dataset(other, split="val")


def test_folders_in_upper_case(plain: np.ndarray, tmp_path: Path) -> None:
    put_between("{}/Images", "{}/Masks")(tmp_path / "data", "Train")
    found = open_dataset(tmp_path / "data", split="train")
    assert found.split == "Train"
    np.testing.assert_array_equal(count(found), plain)


def test_masks_that_are_jpegs_are_told(tmp_path: Path) -> None:
    put_between("images", "masks", ending=".jpg")(tmp_path, "")
    with pytest.raises(
        DatasetError, match=r"masks/_street0\.jpg is a JPEG, whose compression"
    ) as caught:
        open_dataset(tmp_path)
    assert is_in_the_guide(str(caught.value))


def test_boxes_and_json_are_no_masks(tmp_path: Path) -> None:
    """labels/ of a detector, and annotations/ of COCO and of Oxford's pets, are no form of ours."""
    for part in ("images/train", "labels/train", "annotations/trimaps"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 0.1 0.1")
    (tmp_path / "annotations" / "instances.json").write_text("{}")
    save_ids(draw_scenes()[0].ids, tmp_path / "annotations" / "trimaps" / "a.png")
    assert recognize(tmp_path, NO_RULES) is None
    with pytest.raises(DatasetError, match="has no layout that edgeseg knows"):
        open_dataset(tmp_path)


def test_masks_go_before_annotations(plain: np.ndarray, tmp_path: Path) -> None:
    for name in ("splits below", "mmsegmentation's annotations"):
        FORMS[name].write(tmp_path / "data", "train")
    found = open_dataset(tmp_path / "data", split="train")
    assert found.layout == "folder"
    np.testing.assert_array_equal(count(found), plain)


@each_form
def test_a_form_at_a_url(form: Form, tmp_path: Path) -> None:
    root = write_form(form, tmp_path / "data")
    here = open_dataset(root, split=form.splits[1])
    there = open_dataset(f"file://{root}", split=form.splits[1])
    assert (there.layout, there.splits) == (here.layout, here.splits)
    assert [item.sha256 for item in there.items] == [item.sha256 for item in here.items]


def test_a_data_set_in_a_folder_of_what_was_given_is_named(tmp_path: Path) -> None:
    write_form(FORMS["VOC"], tmp_path / "unpacked" / "street")
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path / "unpacked")
    assert str(caught.value) == (
        f"data set {tmp_path}/unpacked has no layout that edgeseg knows. It holds street/. In it, "
        f"street/ (a data set in Pascal VOC's form) may be meant: give that folder"
    )


@pytest.mark.parametrize("above", ["", "train/"])
def test_folders_of_files_of_the_same_names_are_told(above: str, tmp_path: Path) -> None:
    put_between(f"{above}photos", f"{above}truth")(tmp_path / "data", "train")
    with pytest.raises(DatasetError, match="hold files of the same names: if they are") as caught:
        open_dataset(tmp_path / "data")
    assert str(caught.value).endswith("as --images-dir photos --masks-dir truth")


@pytest.mark.parametrize("images", ["fotos", "zz"])
def test_a_folder_of_jpegs_is_not_suggested_for_masks(images: str, tmp_path: Path) -> None:
    scene = draw_scenes()[0]
    save_image(scene, tmp_path / images / "a.jpg")
    save_ids(scene.ids, tmp_path / "labelled" / "a.png")
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).endswith(f"as --images-dir {images} --masks-dir labelled")
    assert len(open_dataset(tmp_path, rules=Rules(images_dir=images, masks_dir="labelled"))) == 1


def test_two_folders_of_jpegs_are_not_suggested(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        save_image(draw_scenes()[0], tmp_path / folder / "a.jpg")
    with pytest.raises(DatasetError, match="The layouts are"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("version", ["v1.2", "v2.0"])
def test_mapillary_without_its_classes_is_told(version: str, tmp_path: Path) -> None:
    root = write_form(FORMS[f"Mapillary {version}"], tmp_path / "data")
    (root / f"config_{version}.json").unlink()
    with pytest.raises(DatasetError, match=rf"config_{version}\.json, which names the classes, is"):
        open_dataset(root)
