"""CamVid as its authors published it: 32 classes, painted in RGB.

ROOT/701_StillsRaw_full/NAME.png      ROOT/LabeledApproved_full/NAME_L.png
ROOT/SPLIT/NAME.png                   ROOT/SPLIT_labels/NAME_L.png      (as copies of it have it)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import Classes, find_classes
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.beside import find_beside
from edgeseg.datasets.layouts.folder import open_folders
from edgeseg.datasets.layouts.layout import Layout, choose_split
from edgeseg.datasets.layouts.places import Place
from edgeseg.datasets.layouts.published import CAMVID_SEQUENCES
from edgeseg.datasets.truth.color_table import make_color_table
from edgeseg.datasets.truth.id_map import IdMap
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels, Rgb

__all__ = ["CAMVID32"]

_WHOLE: Final = ("701_StillsRaw_full", "LabeledApproved_full")
_BESIDE: Final = ("_labels",)
_LOOKED_FOR: Final = "701_StillsRaw_full/ and LabeledApproved_full/, or SPLIT_labels/0001TP_*"
# label_colors.txt at mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid.
_COLORS: Final[dict[str, Rgb]] = {
    "Animal": (64, 128, 64),
    "Archway": (192, 0, 128),
    "Bicyclist": (0, 128, 192),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Car": (64, 0, 128),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128),
    "Fence": (64, 64, 128),
    "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64),
    "Misc_Text": (128, 128, 64),
    "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64),
    "ParkingBlock": (64, 192, 128),
    "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128),
    "RoadShoulder": (128, 128, 192),
    "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128),
    "Sky": (128, 128, 128),
    "SUVPickupTruck": (64, 128, 192),
    "TrafficCone": (0, 0, 64),
    "TrafficLight": (0, 64, 64),
    "Train": (192, 64, 128),
    "Tree": (128, 128, 0),
    "Truck_Bus": (192, 128, 192),
    "Tunnel": (64, 0, 64),
    "VegetationMisc": (192, 192, 0),
    "Void": (0, 0, 0),
    "Wall": (64, 192, 0),
}
_NO_IDS: Final = IdMap("CamVid in its 32 colors", {})


def _recognize(root: Path, _rules: Rules) -> bool:
    return bool(_find_places(root))


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    places = _find_places(root)
    if not places:
        raise DatasetError(f"data set {root} has no {_LOOKED_FOR}")
    there = tuple(name for name in places if name is not None)
    own = choose_split(there, split, origin=str(root), default="val" if there else None)
    classes = find_classes(root, given=rules)
    ids = None
    if classes.labels is None:
        classes, ids = _name_classes(classes), _NO_IDS
    found = open_folders(root, *places[own], split=own, classes=classes, ids=ids)
    return replace(found, splits=there)


def _find_places(root: Path) -> dict[str | None, Place]:
    whole = Place(*(root / name for name in _WHOLE))
    if whole.images.is_dir() and whole.masks.is_dir():
        return {None: whole}
    return {
        split: place
        for split, place in find_beside(root, _BESIDE).items()
        # Other data sets have such folders, too: the names of the files tell.
        if any(path.name.startswith(CAMVID_SEQUENCES) for path in place.masks.iterdir())
    }


def _name_classes(found: Classes) -> Classes:
    labels = Labels(classes=tuple(_COLORS), palette=tuple(_COLORS.values()))
    return replace(found, labels=labels, colors=make_color_table(labels, origin="CamVid"))


CAMVID32: Final = Layout(
    name="camvid32",
    title="CamVid in its 32 colors",
    looked_for=_LOOKED_FOR,
    recognize=_recognize,
    open=_open,
    general_forms=("beside",),
)
