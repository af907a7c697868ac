"""Reads COCO's JSON: polygons and run lengths of the things in each image.

ROOT/SPLIT/_annotations.coco.json       ROOT/SPLIT/NAME.jpg                (Roboflow)
ROOT/annotations/instances_SPLIT.json   ROOT/[images/]SPLIT/NAME.jpg       (COCO, CVAT)
ROOT/annotations.json                   ROOT/images/NAME.jpg
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import find_classes
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.coco_file import CocoFile, read_coco_file
from edgeseg.datasets.layouts.layout import SPLIT_NAMES, Layout, choose_split
from edgeseg.datasets.layouts.shape_classes import ShapeClasses, number_classes
from edgeseg.datasets.layouts.shape_pairs import ShapedImage, pair_shapes
from edgeseg.errors import DatasetError
from edgeseg.machine.extras import require

__all__ = ["COCO"]

_ROBOFLOW: Final = "_annotations.coco.json"
_SINGLE: Final = "annotations.json"
_PREFIX: Final = "instances_"
_HEAD_BYTES: Final = 4096
# A list of COCO's JSON: other JSON may have the name of the single file.
_LISTS: Final = re.compile(rb'"(images|annotations|categories|licenses)"\s*:\s*\[')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A split's JSON, the folders in which its images may lie, and whether the first is its own."""

    file: Path
    folders: tuple[Path, ...]
    is_own: bool


def _find_parts(root: Path, rules: Rules) -> Mapping[str, _Part]:
    """Find the splits by their names; one without a split's name has the name ""."""
    named = (root / rules.images_dir,) if rules.images_dir is not None else ()
    parts = {}
    for name in ("", *(one for names in SPLIT_NAMES.values() for one in names)):
        folder = root / name
        if (folder / _ROBOFLOW).is_file():
            parts[name] = _Part(file=folder / _ROBOFLOW, folders=(folder,), is_own=True)
    listed = root / "annotations"
    for file in sorted(listed.glob(f"{_PREFIX}*.json")) if listed.is_dir() else ():
        name = file.stem.removeprefix(_PREFIX)
        places = (root / name, root / "images" / name)
        own = tuple(place for place in places if place.is_dir())
        folders = (*named, *own, root / "images", root)
        parts[name] = _Part(file=file, folders=folders, is_own=bool(own) and not named)
    if not parts and (root / _SINGLE).is_file():
        folders = (*named, root / "images", root)
        parts[""] = _Part(file=root / _SINGLE, folders=folders, is_own=folders[0].is_dir())
    return parts


def _recognize(root: Path, rules: Rules) -> bool:
    parts = _find_parts(root, rules) if rules.masks_dir is None else {}
    return any(part.file.name != _SINGLE or _begins_as_coco(part.file) for part in parts.values())


def _begins_as_coco(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return head.lstrip().startswith(b"{") and _LISTS.search(head) is not None


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    rules = find_classes(root, given=rules).rules  # it may name the folder of images
    parts = _find_parts(root, rules)
    there = tuple(name for name in parts if name)
    name = choose_split(there, split, origin=str(root)) or ""
    if name not in parts:
        raise DatasetError(
            f"data set {root} has no {_ROBOFLOW}, annotations/{_PREFIX}SPLIT.json or {_SINGLE}"
        )
    require("reading COCO's polygons", ["coco"])
    part = parts[name]
    content = read_coco_file(part.file)
    above = (root / name, root) if name else (root,)
    classes = number_classes(content.names, *above, rules=rules)
    paired = pair_shapes(
        _list_images(content, classes),
        part.folders,
        origin=part.file,
        rest=classes.rest.own,
        whole=part.folders[0] if part.is_own else None,
    )
    return classes.make_dataset(root, name, paired, splits=there, notes=content.notes)


def _list_images(content: CocoFile, classes: ShapeClasses) -> Iterator[ShapedImage]:
    for image in content.images:
        shapes = [(classes.ids[name], area) for name, area in content.list_shapes(image)]
        yield ShapedImage(image.file_name, image.height, image.width, shapes)


COCO: Final = Layout(
    name="coco",
    title="COCO's JSON",
    looked_for=f"{_ROBOFLOW}, annotations/{_PREFIX}*.json, or {_SINGLE}",
    recognize=_recognize,
    open=_open,
    takes_folders=True,
)
