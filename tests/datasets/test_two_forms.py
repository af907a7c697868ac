"""A folder that has two forms is read in one, and the other is named with the way to choose it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from form_writers import FORMS, Form, put_between, write_form
from shape_writers import SHAPE_FORMS

from edgeseg.data_rules import Rules
from edgeseg.datasets import open_dataset
from edgeseg.datasets.layouts import BY_NAME, LAYOUTS, Layout
from edgeseg.errors import DatasetError

ALL_FORMS = FORMS | SHAPE_FORMS
MASKS = put_between("images", "masks")


def choose(root: Path, **rules: str) -> list[str]:
    return [note for note in open_dataset(root, rules=Rules(**rules)).notes if "not" in note]


def test_a_file_of_shapes_beside_masks_is_named(tmp_path: Path) -> None:
    MASKS(tmp_path, "a")
    (tmp_path / "annotations.json").write_text(json.dumps({"images": [], "annotations": []}))
    (told,) = choose(tmp_path)
    assert told == (
        f"{tmp_path} also has the layout of COCO's JSON, which is not read; "
        f"--data coco:{tmp_path} reads that"
    )
    assert not choose(tmp_path, masks_dir="masks")


def test_vocs_folders_beside_masks_are_named(tmp_path: Path) -> None:
    MASKS(tmp_path, "a")
    put_between("JPEGImages", "SegmentationClass")(tmp_path, "b")
    found = open_dataset(tmp_path)
    assert found.layout == "voc"
    (told,) = (note for note in found.notes if "not read" in note)
    assert told.endswith(f"--data folder:{tmp_path} reads that")
    assert open_dataset(f"folder:{tmp_path}").items[0].name.startswith("a_")


@pytest.mark.parametrize("other", ["labels", "annotations"])
def test_other_folders_of_masks_are_named(other: str, tmp_path: Path) -> None:
    for masks in ("masks", other):
        put_between("images/{}", f"{masks}/{{}}")(tmp_path, "train")
    masks = tmp_path / "masks" / "train"
    assert choose(tmp_path) == [
        f"masks are those of {masks}, and not those of {other}/; --masks-dir chooses"
    ]
    (item, *_) = open_dataset(tmp_path, rules=Rules(masks_dir=other)).items
    assert other in str(item.mask_path)


def test_other_folders_of_images_are_named(tmp_path: Path) -> None:
    for images in ("images", "img"):
        put_between(images, "masks")(tmp_path, "a")
    assert choose(tmp_path) == [
        f"images are those of {tmp_path}/images, and not those of img/; --images-dir chooses"
    ]


def test_boxes_and_lists_are_no_other_form(tmp_path: Path) -> None:
    MASKS(tmp_path, "a")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1")
    (tmp_path / "annotations.json").write_text("{}")
    assert not choose(tmp_path)


@pytest.mark.parametrize("form", ALL_FORMS.values(), ids=ALL_FORMS)
def test_one_form_is_not_taken_for_two(form: Form, tmp_path: Path) -> None:
    root = write_form(form, tmp_path / "data")
    notes = open_dataset(root, split=form.splits[1]).notes
    assert not [note for note in notes if "also has" in note or "not those of" in note]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_general_forms_are_layouts_that_are_tried_later(layout: Layout) -> None:
    later = LAYOUTS[LAYOUTS.index(layout) + 1 :]
    assert {BY_NAME[name] for name in layout.general_forms} <= set(later)


def test_a_form_that_is_none_is_told_with_the_forms(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"'foo' is no layout; the layouts are cityscapes, .*voc"
    ):
        open_dataset(f"foo:{tmp_path}")
