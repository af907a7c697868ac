"""Writes the street scenes in each form of a data set whose truth is mask files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from forms import Scene, draw_scenes, save_ids, save_image, write_classes


class Form(NamedTuple):
    """A form of a data set: `write` puts a split of the scenes into a folder.

    `layout` is the name of the layout that reads it, and `splits` are its own names of the splits
    for training and for measuring.
    """

    layout: str
    write: Callable[[Path, str], None]
    splits: tuple[str, str] = ("train", "val")


def write_form(form: Form, root: Path) -> Path:
    """Write a data set of two splits, with the same scenes in both."""
    for split in form.splits:
        form.write(root, split)
    return root


def _name(scene: Scene, split: str) -> str:
    return f"{split}_{scene.name}"


def put_between(images: str, masks: str, *, suffix: str = "", named: bool = True):
    """Make a writer into the folders `images` and `masks`, which name the split as `{}`."""

    def write(root: Path, split: str) -> None:
        for scene in draw_scenes():
            name = _name(scene, split)
            save_image(scene, root / images.format(split) / f"{name}.png")
            save_ids(scene.ids, root / masks.format(split) / f"{name}{suffix}.png")
        if named:
            write_classes(root)

    return write


def write_voc(masks: str, lists: str):
    """Make a writer of Pascal VOC's form, where `lists` is the folder of the splits' lists."""

    def write(root: Path, split: str) -> None:
        put_between("JPEGImages", masks)(root, split)
        (root / lists).mkdir(parents=True, exist_ok=True)
        names = (_name(scene, split) for scene in draw_scenes())
        (root / lists / f"{split}.txt").write_text("\n".join(names))

    return write


FORMS = {
    "images and masks": Form("folder", put_between("{}/images", "{}/masks")),
    "splits below": Form("folder", put_between("images/{}", "masks/{}")),
    "image and label": Form("folder", put_between("{}/image", "{}/label")),
    "imgs and masks": Form("folder", put_between("{}/imgs", "{}/masks", suffix="_mask")),
    "images and labels": Form("folder", put_between("images/{}", "labels/{}"), ("training", "dev")),
    "JPEGImages and masks": Form("folder", put_between("JPEGImages/{}", "masks/{}")),
    "mmsegmentation": Form("mmseg", put_between("img_dir/{}", "ann_dir/{}")),
    "mmsegmentation's annotations": Form(
        "mmseg",
        put_between("images/{}", "annotations/{}", suffix="_labelTrainIds"),
        ("training", "validation"),
    ),
    "mmsegmentation, own splits": Form(
        "mmseg", put_between("img_dir/{}", "ann_dir/{}"), ("train", "night")
    ),
    "VOC": Form("voc", write_voc("SegmentationClass", "ImageSets/Segmentation")),
    "VOC of a tool": Form("voc", write_voc("SegmentationClassPNG", "ImageSets")),
    "VOC with more masks": Form(
        "voc", write_voc("SegmentationClassAug", "ImageSets/Segmentation"), ("train", "train_aug")
    ),
    "VOC with lists beside": Form("voc", write_voc("SegmentationClass", "")),
}
