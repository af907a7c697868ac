"""The form of mmsegmentation: a folder of images and one of annotations, each with the splits.

ROOT/img_dir/SPLIT/NAME.jpg       ROOT/ann_dir/SPLIT/NAME.png
ROOT/images/SPLIT/NAME.jpg        ROOT/annotations/SPLIT/NAME.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.folder import open_place
from edgeseg.datasets.layouts.layout import Layout
from edgeseg.datasets.layouts.places import find_places
from edgeseg.errors import DatasetError

__all__ = ["MMSEG"]

_NAMES: Final = (("img_dir", "ann_dir"), ("images", "annotations"))
_LOOKED_FOR: Final = "img_dir/ and ann_dir/, or images/ and annotations/ with masks"


def _recognize(root: Path, _rules: Rules) -> bool:
    # Where masks/ is beside images/, annotations/ holds something else.
    return not (root / "masks").is_dir() and bool(find_places(root, _NAMES, any_split=True))


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    places = find_places(root, _NAMES, any_split=True)
    if not places:
        raise DatasetError(f"data set {root} has no {_LOOKED_FOR}")
    return open_place(root, places, split, rules=rules)


MMSEG: Final = Layout(
    name="mmseg",
    title="a data set of mmsegmentation",
    looked_for=_LOOKED_FOR,
    recognize=_recognize,
    open=_open,
)
