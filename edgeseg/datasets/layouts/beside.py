"""A folder of images for each split, and a folder of masks beside it whose name goes on.

ROOT/train/NAME.png      ROOT/trainannot/NAME.png      (or train_labels/, train_masks/ and so on)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.folder import open_place
from edgeseg.datasets.layouts.layout import SPLIT_NAMES, Layout
from edgeseg.datasets.layouts.places import Place, list_folders
from edgeseg.errors import DatasetError
from edgeseg.images import MASK_SUFFIXES, list_files
from edgeseg.images.bands import list_frames

__all__ = ["BESIDE", "find_beside"]

# What the name of the folder of masks has after its split's.
_ENDINGS: Final = ("annot", "_labels", "_label", "_masks", "_mask", "_annotations", "_gt")
_LOOKED_FOR: Final = "train/ and trainannot/, train_labels/ or train_masks/"


def find_beside(root: Path, endings: tuple[str, ...] = _ENDINGS) -> dict[str | None, Place]:
    """Find the folder of images and that of masks of each split, by the split's own name."""
    found: dict[str | None, Place] = {}
    there = list_folders(root)
    for split in (name for names in SPLIT_NAMES.values() for name in names if name in there):
        for masks in (split + ending for ending in endings if split + ending in there):
            place = Place(root / split, root / masks)
            if list_frames(place.images) and list_files(place.masks, MASK_SUFFIXES):
                found.setdefault(split, place)
    return found


def _recognize(root: Path, _rules: Rules) -> bool:
    return bool(find_beside(root))


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    places = find_beside(root)
    if not places:
        raise DatasetError(f"data set {root} has no {_LOOKED_FOR}")
    return open_place(root, places, split, rules=rules)


BESIDE: Final = Layout(
    name="beside",
    title="folders of masks beside those of images",
    looked_for=_LOOKED_FOR,
    recognize=_recognize,
    open=_open,
)
