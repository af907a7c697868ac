"""Writes the street scenes in each form of a data set whose truth is mask files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from forms import LABELS, VOID, Scene, draw_scenes, save_ids, save_image, write_classes

from edgeseg.pixels import ClassMap

Save = Callable[[ClassMap, Path], None]
Writer = Callable[[Path, str], None]


class Form(NamedTuple):
    """A form of a data set: `write` puts a split of the scenes into a folder.

    `layout` is the name of the layout that reads it, and `splits` are its own names of the splits
    for training and for measuring.
    """

    layout: str
    write: Writer
    splits: tuple[str, str] = ("train", "val")


def write_form(form: Form, root: Path) -> Path:
    """Write a data set of two splits, with the same scenes in both."""
    for split in form.splits:
        form.write(root, split)
    return root


def _name(scene: Scene, split: str) -> str:
    return f"{split}_{scene.name}"


def put_between(
    images: str,
    masks: str,
    *,
    name: str = "{}",
    suffix: str = "",
    ending: str = ".png",
    save: Save | None = None,
    folders: Mapping[str, str] = MappingProxyType({}),
) -> Writer:
    """Make a writer into the folders `images` and `masks`, which name the split as `{}`.

    `name` makes the images' names, and `suffix` and `ending` follow it in
    those of masks. `folders` are the
    folders of splits that have other names. With `save`, the masks are written by it, and no
    dataset.json names the classes.
    """

    def write(root: Path, split: str) -> None:
        for scene in draw_scenes():
            stem, folder = _name(scene, split), folders.get(split, split)
            save_image(scene, root / images.format(folder) / f"{name.format(stem)}.png")
            mask = f"{name.partition('_left')[0].format(stem)}{suffix}{ending}"
            (save or save_ids)(scene.ids, root / masks.format(folder) / mask)
        if save is None:
            write_classes(root)

    return write


def write_voc(masks: str, lists: str) -> Writer:
    """Make a writer of Pascal VOC's form, where `lists` is the folder of the splits' lists."""

    def write(root: Path, split: str) -> None:
        put_between("JPEGImages", masks)(root, split)
        (root / lists).mkdir(parents=True, exist_ok=True)
        names = (_name(scene, split) for scene in draw_scenes())
        (root / lists / f"{split}.txt").write_text("\n".join(names))

    return write


def write_mapillary(masks: str, config: str) -> Writer:
    """Make a writer of Mapillary's form, whose first id is not evaluated."""

    def write(root: Path, split: str) -> None:
        for scene in draw_scenes():
            name = _name(scene, split)
            save_image(scene, root / split / "images" / f"{name}.png")
            ids = np.where(scene.ids == VOID, 0, scene.ids + 1).astype(np.uint8)
            save_ids(ids, root / split / masks / f"{name}.png")
        rows = [{"readable": "Void", "name": "void", "color": [0, 0, 0], "evaluate": False}]
        rows += [
            {"readable": name, "name": "x", "color": list(color), "evaluate": True}
            for name, color in zip(LABELS.classes, LABELS.palette, strict=True)
        ]
        (root / config).write_text(json.dumps({"labels": rows}))

    return write


FORMS = {
    "images and masks": Form("folder", put_between("{}/images", "{}/masks")),
    "splits below": Form("folder", put_between("images/{}", "masks/{}")),
    "image and label": Form("folder", put_between("{}/image", "{}/label")),
    "imgs and masks": Form("folder", put_between("{}/imgs", "{}/masks", suffix="_mask")),
    "images and labels": Form("folder", put_between("images/{}", "labels/{}"), ("training", "dev")),
    "JPEGImages and masks": Form("folder", put_between("JPEGImages/{}", "masks/{}")),
    "mmsegmentation": Form("mmseg", put_between("img_dir/{}", "ann_dir/{}")),
    "mmsegmentation in .tif": Form("mmseg", put_between("img_dir/{}", "ann_dir/{}", ending=".tif")),
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
    "Mapillary v1.2": Form(
        "mapillary", write_mapillary("v1.2/labels", "config_v1.2.json"), ("training", "validation")
    ),
    "Mapillary v2.0": Form(
        "mapillary", write_mapillary("v2.0/labels", "config_v2.0.json"), ("training", "validation")
    ),
    "Mapillary v1": Form(
        "mapillary", write_mapillary("labels", "config.json"), ("training", "validation")
    ),
    "BDD100K": Form("bdd100k", put_between("images/10k/{}", "labels/sem_seg/masks/{}")),
    "BDD100K, older": Form(
        "bdd100k", put_between("seg/images/{}", "seg/labels/{}", suffix="_train_id")
    ),
    "BDD100K, older and alone": Form(
        "bdd100k", put_between("images/{}", "labels/{}", suffix="_train_id")
    ),
    "KITTI": Form("kitti", put_between("{}/image_2", "{}/semantic"), ("training", "testing")),
    "SegNet's folders": Form("beside", put_between("{}", "{}annot")),
    "folders of labels beside": Form("beside", put_between("{}", "{}_labels", suffix="_L")),
    "folders of masks beside": Form("beside", put_between("{}", "{}_masks"), ("train", "valid")),
    "labels of fastai": Form("folder", put_between("images/{}", "labels/{}", suffix="_P")),
    # The published ones, in which a dataset.json names other classes.
    "Cityscapes": Form(
        "cityscapes",
        put_between(
            "leftImg8bit/{}/ulm",
            "gtFine/{}/ulm",
            name="{}_leftImg8bit",
            suffix="_gtFine_labelIds",
        ),
    ),
    "ADE20K": Form(
        "ade20k",
        put_between(
            "images/{}",
            "annotations/{}",
            name="ADE_train_{}",
            folders={"train": "training", "val": "validation"},
        ),
    ),
    "COCO-Stuff": Form(
        "cocostuff",
        put_between(
            "images/{}",
            "stuffthingmaps/{}",
            folders={"train": "train2017", "val": "val2017"},
        ),
    ),
    "COCO-Stuff in annotations": Form(
        "cocostuff",
        put_between(
            "images/{}",
            "annotations/{}",
            name="000000000139{}",
            folders={"train": "train2017", "val": "val2017"},
        ),
    ),
    "CamVid": Form("camvid", put_between("{}", "{}annot", name="0016E5_{}")),
    "CamVid's copies": Form(
        "camvid32", put_between("{}", "{}_labels", name="Seq05VD_{}", suffix="_L")
    ),
}
