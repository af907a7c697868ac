"""Mapillary Vistas, whose config.json names the classes and says which are evaluated.

ROOT/SPLIT/images/KEY.jpg     ROOT/SPLIT/v1.2/labels/KEY.png (or v2.0/)     ROOT/config_v1.2.json
ROOT/SPLIT/images/KEY.jpg     ROOT/SPLIT/labels/KEY.png                     ROOT/config.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import Classes
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.folder import open_folders
from edgeseg.datasets.layouts.layout import Layout, choose_split
from edgeseg.datasets.layouts.places import find_places
from edgeseg.datasets.truth.color_table import make_color_table
from edgeseg.datasets.truth.id_map import IdMap
from edgeseg.errors import DatasetError, SourceError
from edgeseg.labels import Labels, Rgb
from edgeseg.text import explain

__all__ = ["MAPILLARY", "explain_missing_config"]

_IMAGES: Final = "images"
# The folders of masks, and the file that names their classes. Most models know the 65 classes of
# v1.2, so these come first where both are there.
_CONFIGS: Final = {
    "v1.2/labels": "config_v1.2.json",
    "v2.0/labels": "config_v2.0.json",
    "labels": "config.json",
}
_NONE: Final = 255
_LOOKED_FOR: Final = "training/v1.2/labels/ or v2.0/labels/, or training/labels/ and config.json"


def _recognize(root: Path, rules: Rules) -> bool:
    versions = _list_versions(root, rules.images_dir or _IMAGES)
    return bool(versions) and rules.masks_dir in (None, *versions)


def _list_versions(root: Path, images: str) -> tuple[str, ...]:
    """List the folders of masks whose classes a file names."""
    return tuple(
        masks
        for masks, config in _CONFIGS.items()
        if (root / config).exists() and find_places(root, [(images, masks)])
    )


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    images = rules.images_dir or _IMAGES
    versions = _list_versions(root, images)
    masks = rules.masks_dir or next(iter(versions), None)
    if masks not in versions:
        raise DatasetError(
            f"data set {root} has no {rules.masks_dir or _LOOKED_FOR} whose classes a file names "
            f"({', '.join(_CONFIGS.values())}); put the archive's file there"
        )
    places = find_places(root, [(images, masks)])
    there = tuple(name for name in places if name is not None)
    own = choose_split(there, split, origin=str(root), default="val")
    config = _read_config(root / _CONFIGS[masks])
    classes = replace(config.classes, rules=rules)
    found = open_folders(root, *places[own], split=own, classes=classes, ids=config.ids)
    others = [one for one in versions if one != masks and rules.masks_dir is None]
    told = f"masks of {masks} are read, and not those of {', '.join(others)}; --masks-dir chooses"
    return replace(found, splits=there).add_notes(*((told,) if others else ()))


def explain_missing_config(root: Path) -> str | None:
    """Say which file of Mapillary Vistas is missing, if the masks of one of its versions are there.

    A folder that is only called labels/ may be anybody's.
    """
    for masks, config in _CONFIGS.items():
        if "/" in masks and not (root / config).exists() and find_places(root, [(_IMAGES, masks)]):
            return (
                f"Its {masks}/ is that of {MAPILLARY.title}, and {config}, which names the "
                f"classes, is missing; put the archive's file there"
            )
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config:
    """The evaluated classes, and which of them an id in a mask stands for."""

    classes: Classes
    ids: IdMap


def _read_config(path: Path) -> _Config:
    try:
        rows = [_parse_row(row) for row in json.loads(path.read_text("utf-8"))["labels"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise SourceError(f"{path} cannot be read: {explain(error)}") from None
    evaluated = [row for row in rows if row.evaluated]
    labels = Labels(
        classes=tuple(row.name for row in evaluated),
        palette=tuple(row.color for row in evaluated),
        ignore_index=_NONE,
    )
    ignored = [row.color for row in rows if not row.evaluated]
    colors = make_color_table(labels, origin=str(path), ignored=ignored)
    told = f"names and colors of the classes: {path}"
    numbers = iter(range(len(evaluated)))
    table = {own: next(numbers) if row.evaluated else _NONE for own, row in enumerate(rows)}
    return _Config(
        classes=Classes(labels=labels, colors=colors, notes=(told,)),
        ids=IdMap("Mapillary Vistas", table),
    )


class _Row(NamedTuple):
    """What config.json says of a class; its place in the list is its id."""

    name: str
    color: Rgb
    evaluated: bool


def _parse_row(row: Mapping[str, Any]) -> _Row:
    red, green, blue = (int(value) for value in row["color"])
    return _Row(str(row["readable"]), (red, green, blue), bool(row["evaluate"]))


MAPILLARY: Final = Layout(
    name="mapillary",
    title="Mapillary Vistas",
    looked_for=_LOOKED_FOR,
    recognize=_recognize,
    open=_open,
    takes_folders=True,
    general_forms=("folder",),
)
