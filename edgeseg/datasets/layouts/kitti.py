"""KITTI's semantic segmentation benchmark, whose labels are those of Cityscapes.

ROOT/training/image_2/NAME.png      ROOT/training/semantic/NAME.png      (or semantic_rgb/)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.folder import open_folders
from edgeseg.datasets.layouts.layout import Layout, choose_split
from edgeseg.datasets.layouts.own_classes import find_meaning
from edgeseg.datasets.layouts.places import find_places
from edgeseg.datasets.truth.cityscapes_colors import SHARED_COLORS, make_cityscapes_colors
from edgeseg.datasets.truth.published_ids import PUBLISHED_IDS
from edgeseg.errors import DatasetError
from edgeseg.labels import get_known_labels

__all__ = ["KITTI"]

_PAINTED: Final = "semantic_rgb"
_NAMES: Final = (("image_2", "semantic"), ("image_2", _PAINTED))
_LOOKED_FOR: Final = "training/image_2/ and training/semantic/"


def _recognize(root: Path, _rules: Rules) -> bool:
    return bool(find_places(root, _NAMES))


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    places = find_places(root, _NAMES)
    there = tuple(name for name in places if name is not None)
    if not there:
        raise DatasetError(f"data set {root} has no {_LOOKED_FOR}")
    own = choose_split(there, split, origin=str(root))
    classes, ids = find_meaning(
        root,
        get_known_labels("cityscapes"),
        PUBLISHED_IDS["cityscapes"],
        rules=rules,
        colors=make_cityscapes_colors(),
    )
    found = open_folders(root, *places[own], split=own, classes=classes, ids=ids)
    painted = places[own].masks.name == _PAINTED and ids is not None
    return replace(found, splits=there).add_notes(*((SHARED_COLORS,) if painted else ()))


KITTI: Final = Layout(
    name="kitti",
    title="KITTI",
    looked_for=_LOOKED_FOR,
    recognize=_recognize,
    open=_open,
)
