"""Reads the export "CVAT for images 1.1".

ROOT/annotations.xml      ROOT/[images/][SUBSET/]NAME.jpg
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import find_classes
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.cvat_file import CvatImage, read_cvat_file
from edgeseg.datasets.layouts.layout import Layout, choose_split
from edgeseg.datasets.layouts.shape_classes import ShapeClasses, number_classes
from edgeseg.datasets.layouts.shape_pairs import ShapedImage, pair_shapes
from edgeseg.errors import DatasetError
from edgeseg.labels import normalize_name
from edgeseg.machine.extras import require

__all__ = ["CVAT"]

_FILE: Final = "annotations.xml"
_IMAGES: Final = "images"
_NO_SUBSET: Final = "default"  # as CVAT calls it
_HEAD_BYTES: Final = 4096
_BEGINNING: Final = re.compile(rb"<annotations[\s>]")


def _recognize(root: Path, rules: Rules) -> bool:
    path = root / _FILE
    if rules.masks_dir is not None or not path.is_file():
        return False
    with path.open("rb") as file:
        return _BEGINNING.search(file.read(_HEAD_BYTES)) is not None


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    path = root / _FILE
    if not path.is_file():
        raise DatasetError(f"data set {root} has no {_FILE}")
    rules = find_classes(root, given=rules).rules  # it may name the folder of images
    content = read_cvat_file(path)
    require("drawing CVAT's shapes", ["coco", *(["opencv"] if content.has_ellipses else [])])
    subsets = _list_subsets(content.images)
    name = choose_split(subsets, split, origin=str(root))
    classes = number_classes(content.labels, root, rules=rules)
    folders = _list_folders(root, name, rules)
    paired = pair_shapes(
        _list_images((one for one in content.images if name in {None, _get_subset(one)}), classes),
        folders,
        origin=path,
        rest=classes.rest.own,
        whole=folders[0] if len(subsets) < 2 else None,
    )
    return classes.make_dataset(root, name, paired, splits=subsets, notes=content.notes)


def _list_subsets(images: Iterable[CvatImage]) -> tuple[str, ...]:
    """List the subsets of a project; none if no image has one."""
    subsets = tuple(dict.fromkeys(_get_subset(image) for image in images))
    return () if subsets == (_NO_SUBSET,) else subsets


def _get_subset(image: CvatImage) -> str:
    return image.subset or _NO_SUBSET


def _list_folders(root: Path, subset: str | None, rules: Rules) -> tuple[Path, ...]:
    """List the folders in which the images may lie; the first is there."""
    images = root / (rules.images_dir or _IMAGES)
    below = () if subset is None else (images / subset, root / subset)
    return tuple(place for place in (*below, images, root) if place.is_dir())


def _list_images(images: Iterable[CvatImage], classes: ShapeClasses) -> Iterator[ShapedImage]:
    for image in images:
        shapes = [(classes.ids[normalize_name(one.label)], one.area) for one in image.shapes]
        yield ShapedImage(image.name, image.height, image.width, shapes)


CVAT: Final = Layout(
    name="cvat",
    title="CVAT's form for images",
    looked_for=f"{_FILE} of CVAT",
    recognize=_recognize,
    open=_open,
    takes_folders=True,
)
