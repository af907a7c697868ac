"""Reads Roboflow's export for semantic segmentation: masks beside their images, in each split.

ROOT/[SPLIT/]NAME.jpg      ROOT/[SPLIT/]NAME_mask.png      ROOT/[SPLIT/]_classes.csv
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.folder import open_place
from edgeseg.datasets.layouts.layout import SPLIT_NAMES, Layout
from edgeseg.datasets.layouts.places import Place
from edgeseg.errors import DatasetError

__all__ = ["ROBOFLOW"]

_SUFFIX: Final = "_mask"
_CLASSES: Final = "_classes.csv"


def _find_places(root: Path) -> dict[str | None, Place]:
    names = (None, *(one for names in SPLIT_NAMES.values() for one in names))
    folders = {name: root if name is None else root / name for name in names}
    return {name: Place(one, one) for name, one in folders.items() if _holds_export(one)}


def _holds_export(folder: Path) -> bool:
    there = (folder / _CLASSES).is_file()  # also of an export of whole images' classes, unmasked
    return there and any(folder.glob(f"*{_SUFFIX}.png"))


def _recognize(root: Path, _rules: Rules) -> bool:
    return bool(_find_places(root))


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    places = _find_places(root)
    if not places:
        raise DatasetError(f"data set {root} has no {_CLASSES} beside masks NAME{_SUFFIX}.png")
    rules = replace(rules, mask_suffix=rules.mask_suffix or _SUFFIX)
    return open_place(root, places, split, rules=rules)


ROBOFLOW: Final = Layout(
    name="roboflow",
    title="Roboflow's masks",
    looked_for=f"{_CLASSES} beside NAME{_SUFFIX}.png",
    recognize=_recognize,
    open=_open,
)
