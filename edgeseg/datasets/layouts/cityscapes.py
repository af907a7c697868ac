"""Cityscapes, in the folders of its archives.

leftImg8bit/SPLIT/CITY/N_leftImg8bit.png    gtFine/SPLIT/CITY/N_gtFine_labelIds.png
                                            (or N_gtFine_labelTrainIds.png, N_gtFine_color.png)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.items import FilePair
from edgeseg.datasets.layouts.layout import Layout
from edgeseg.datasets.layouts.published import MakeTruth, PublishedForm, open_published
from edgeseg.datasets.truth.cityscapes_colors import SHARED_COLORS, make_cityscapes_colors
from edgeseg.datasets.truth.mask_file import MaskFile
from edgeseg.errors import DatasetError

__all__ = ["CITYSCAPES"]

_IMAGES: Final = "leftImg8bit"
_MASKS: Final = "gtFine"
_COARSE: Final = "gtCoarse"
_TRAIN_IDS: Final = "_gtFine_labelTrainIds.png"
_LABEL_IDS: Final = "_gtFine_labelIds.png"
_PAINTED: Final = "_gtFine_color.png"


def _pair(root: Path, folder: str, make_truth: MakeTruth) -> Iterator[FilePair]:
    for city in sorted((root / _IMAGES / folder).glob("*")):
        masks = root / _MASKS / folder / city.name
        there = {path.name for path in masks.iterdir()} if masks.is_dir() else set()
        for image in sorted(city.glob(f"*_{_IMAGES}.png")):
            stem = image.stem.removesuffix(f"_{_IMAGES}")
            if stem + _TRAIN_IDS in there:  # somebody made them, so they are the classes' ids
                yield FilePair(image, MaskFile(masks / (stem + _TRAIN_IDS)))
            elif stem + _PAINTED in there and stem + _LABEL_IDS not in there:
                yield FilePair(image, make_truth(masks / (stem + _PAINTED)))
            else:
                yield FilePair(image, make_truth(masks / (stem + _LABEL_IDS)))


_FORM: Final = PublishedForm(
    name="cityscapes", splits={"train": "train", "val": "val"}, pairs=_pair
)


def _recognize(root: Path, _rules: Rules) -> bool:
    return (root / _IMAGES).is_dir()


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    if (root / _IMAGES).is_dir() and not (root / _MASKS).is_dir():
        coarse = (
            f"; {_COARSE}/ is not read, because its outlines are rough"
            if (root / _COARSE).is_dir()
            else ""
        )
        raise DatasetError(
            f"data set {root} has {_IMAGES}/ and no {_MASKS}/{coarse}; unpack Cityscapes' "
            f"{_MASKS}_trainvaltest.zip there, or name your own folders with --images-dir and "
            f"--masks-dir"
        )
    found = open_published(replace(_FORM, colors=make_cityscapes_colors()), root, split, rules)
    painted = any(
        isinstance(item, FilePair) and item.mask_path.name.endswith(_PAINTED)
        for item in found.items
    )
    return found.add_notes(*((SHARED_COLORS,) if painted else ()))


CITYSCAPES: Final = Layout(
    name=_FORM.name,
    title="Cityscapes",
    looked_for=f"{_IMAGES}/ and {_MASKS}/",
    recognize=_recognize,
    open=_open,
)
