"""Reads COCO's JSON: polygons and run lengths of the things in each image.

ROOT/SPLIT/_annotations.coco.json       ROOT/SPLIT/NAME.jpg                (Roboflow)
ROOT/annotations/instances_SPLIT.json   ROOT/[images/]SPLIT/NAME.jpg       (COCO, CVAT)
ROOT/annotations.json                   ROOT/images/NAME.jpg
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset, Unpaired
from edgeseg.datasets.items import FilePair
from edgeseg.datasets.layouts.coco_file import CocoFile, read_coco_file
from edgeseg.datasets.layouts.inside import find_inside
from edgeseg.datasets.layouts.layout import SPLIT_NAMES, Layout, choose_split
from edgeseg.datasets.layouts.shape_classes import ShapeClasses, number_classes
from edgeseg.datasets.truth.shape_list import ShapeList, pack_shapes
from edgeseg.errors import DatasetError
from edgeseg.images import list_files
from edgeseg.machine.extras import require

__all__ = ["COCO"]

_ROBOFLOW: Final = "_annotations.coco.json"
_SINGLE: Final = "annotations.json"
_PREFIX: Final = "instances_"
_HEAD_BYTES: Final = 4096
# What COCO's JSON begins with, whatever the order of its keys.
_BEGINNING: Final = re.compile(
    rb'\s*\{\s*"(info|images|licenses|categories|annotations)"\s*:\s*[\[{]'
)


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
    parts = _find_parts(root, rules)
    return bool(parts) and _begins_as_coco(next(iter(parts.values())).file)


def _begins_as_coco(path: Path) -> bool:
    with path.open("rb") as file:
        return _BEGINNING.match(file.read(_HEAD_BYTES)) is not None


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
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
    items, missing = _pair(part, content, classes)
    return Dataset(
        origin=str(root),
        split=name or None,
        items=items,
        labels=classes.labels,
        unpaired=(*missing, *_list_unnamed(part, content, items)),
        splits=there,
        rules=classes.found.rules,
        said=classes.found.said,
        rest=classes.rest,
        notes=(*classes.found.notes, *content.notes),
    )


def _pair(
    part: _Part, content: CocoFile, classes: ShapeClasses
) -> tuple[tuple[FilePair, ...], tuple[Unpaired, ...]]:
    pairs, missing = [], []
    for image in content.images:
        path = find_inside(image.file_name, part.folders, origin=part.file)
        if not path.exists():
            reason = f"{part.file} names {image.file_name}, and there is no {path}"
            missing.append(Unpaired(name=path.stem, reason=reason))
            continue
        shapes = [(classes.ids[name], area) for name, area in content.list_shapes(image)]
        truth = ShapeList(
            path=part.file,
            name=image.file_name,
            height=image.height,
            width=image.width,
            packed=pack_shapes(shapes),
            rest=classes.rest.own,
        )
        pairs.append(FilePair(path, truth))
    return tuple(pairs), tuple(missing)


def _list_unnamed(
    part: _Part, content: CocoFile, pairs: tuple[FilePair, ...]
) -> tuple[Unpaired, ...]:
    """List the images in the split's own folder that the JSON does not name."""
    if not part.is_own:
        return ()
    named = {pair.image_path.name for pair in pairs}
    return tuple(
        Unpaired(name=path.stem, reason=f"{path} is not named by {part.file}")
        for path in list_files(part.folders[0])
        if path.name not in named
    )


COCO: Final = Layout(
    name="coco",
    title="COCO's JSON",
    looked_for=f"{_ROBOFLOW}, annotations/{_PREFIX}*.json, or {_SINGLE}",
    recognize=_recognize,
    open=_open,
)
