"""The forms in which people keep data sets, each in a module of its own.

A new layout is a module with a `Layout`, and one line in `LAYOUTS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import DATASET_FILE, find_classes
from edgeseg.datasets.layouts.bdd100k import BDD100K
from edgeseg.datasets.layouts.beside import BESIDE
from edgeseg.datasets.layouts.camvid32 import CAMVID32
from edgeseg.datasets.layouts.cityscapes import CITYSCAPES
from edgeseg.datasets.layouts.coco import COCO
from edgeseg.datasets.layouts.cvat import CVAT
from edgeseg.datasets.layouts.folder import FOLDER
from edgeseg.datasets.layouts.kitti import KITTI
from edgeseg.datasets.layouts.labelme import LABELME
from edgeseg.datasets.layouts.layout import SPLIT_NAMES, SPLITS, Layout
from edgeseg.datasets.layouts.mapillary import MAPILLARY
from edgeseg.datasets.layouts.mmseg import MMSEG
from edgeseg.datasets.layouts.parquet import PARQUET
from edgeseg.datasets.layouts.published import ADE20K, CAMVID, COCOSTUFF
from edgeseg.datasets.layouts.roboflow import ROBOFLOW
from edgeseg.datasets.layouts.voc import VOC

__all__ = [
    "BY_NAME",
    "LAYOUTS",
    "LAYOUT_NAMES",
    "SPLITS",
    "SPLIT_NAMES",
    "Layout",
    "recognize",
    "recognize_others",
]

# In the order in which they are tried: what only one data set has comes before general forms.
LAYOUTS: Final[tuple[Layout, ...]] = (
    CITYSCAPES,
    ADE20K,
    COCOSTUFF,
    CAMVID,
    CAMVID32,
    KITTI,
    MAPILLARY,
    BDD100K,
    VOC,
    MMSEG,
    BESIDE,
    FOLDER,
    COCO,
    ROBOFLOW,
    LABELME,
    CVAT,
    PARQUET,
)
LAYOUT_NAMES: Final = tuple(layout.name for layout in LAYOUTS)
BY_NAME: Final = {layout.name: layout for layout in LAYOUTS}


def recognize(root: Path, rules: Rules) -> Layout | None:
    """Find the layout of a folder; None if it has none that edgeseg knows. No image is read.

    Where a user names the folders, it is one of those that take such names.
    """
    rules = _add_own(root, rules)
    named = _names_folders(rules)
    fitting = (layout for layout in LAYOUTS if layout.takes_folders or not named)
    found = next((layout for layout in fitting if layout.recognize(root, rules)), None)
    return FOLDER if found is None and named else found


def recognize_others(root: Path, rules: Rules, chosen: Layout) -> tuple[Layout, ...]:
    """Find the other layouts of a folder, unless the user names the folders to read."""
    rules = _add_own(root, rules)
    if _names_folders(rules):
        return ()
    known = {chosen.name, *chosen.general_forms}
    others = (layout for layout in LAYOUTS if layout.name not in known)
    return tuple(layout for layout in others if layout.recognize(root, rules))


def _add_own(root: Path, rules: Rules) -> Rules:
    """Add the rules of the folder's dataset.json; other files of classes have none."""
    return find_classes(root, given=rules).rules if (root / DATASET_FILE).exists() else rules


def _names_folders(rules: Rules) -> bool:
    return rules.images_dir is not None or rules.masks_dir is not None
