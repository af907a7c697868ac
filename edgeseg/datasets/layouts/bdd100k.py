"""BDD100K's semantic segmentation, whose ids are Cityscapes' 19 classes, and 255.

ROOT/images/10k/SPLIT/NAME.jpg          ROOT/labels/sem_seg/masks/SPLIT/NAME.png
ROOT/[seg/]images/SPLIT/NAME.jpg        ROOT/[seg/]labels/SPLIT/NAME_train_id.png    (older)
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
from edgeseg.datasets.layouts.places import Place, find_places
from edgeseg.datasets.truth.id_map import IdMap
from edgeseg.errors import DatasetError
from edgeseg.labels import get_known_labels

__all__ = ["BDD100K"]

_NAMES: Final = (("images/10k", "labels/sem_seg/masks"),)
_OLDER_NAMES: Final = (("images", "labels"), ("seg/images", "seg/labels"))
_OLDER_MASKS: Final = "*_train_id.png"
_NONE: Final = 255
_IDS: Final = IdMap("BDD100K", {own: own for own in (*range(19), _NONE)})
_LOOKED_FOR: Final = "images/10k/ and labels/sem_seg/masks/, or seg/labels/ with *_train_id.png"


def _recognize(root: Path, _rules: Rules) -> bool:
    return bool(_find_splits(root))


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    places = _find_splits(root)
    if not places:
        raise DatasetError(f"data set {root} has no {_LOOKED_FOR}")
    own = choose_split(tuple(places), split, origin=str(root), default="val")
    assert own is not None, "each place is of a split"
    classes, ids = find_meaning(root, get_known_labels("cityscapes"), _IDS, rules=rules)
    found = open_folders(root, *places[own], split=own, classes=classes, ids=ids)
    return replace(found, splits=tuple(places))


def _find_splits(root: Path) -> dict[str, Place]:
    newer = find_places(root, _NAMES)
    older = {} if newer else find_places(root, _OLDER_NAMES)
    return {
        split: place
        for split, place in (newer | older).items()
        if split is not None and (newer or _has_train_ids(place))
    }


def _has_train_ids(place: Place) -> bool:
    return any(place.masks.glob(_OLDER_MASKS))


BDD100K: Final = Layout(
    name="bdd100k",
    title="BDD100K",
    looked_for=_LOOKED_FOR,
    recognize=_recognize,
    open=_open,
    general_forms=("folder",),
)
