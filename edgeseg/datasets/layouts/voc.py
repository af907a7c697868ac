"""The form of Pascal VOC: its own data, and data sets that tools export in it.

ROOT/JPEGImages/NAME.jpg    ROOT/SegmentationClass/NAME.png    ROOT/ImageSets/Segmentation/SPLIT.txt
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import Classes, find_classes
from edgeseg.datasets.dataset import Dataset, Unpaired
from edgeseg.datasets.items import FilePair
from edgeseg.datasets.layouts.layout import Layout, choose_split
from edgeseg.datasets.layouts.places import list_folders
from edgeseg.datasets.pairing import explain_twins, pair_up
from edgeseg.datasets.truth.color_table import make_color_table
from edgeseg.datasets.truth.id_map import IdMap
from edgeseg.datasets.truth.mask_file import MaskFile
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import IMAGE_SUFFIXES, MASK_SUFFIXES, list_files
from edgeseg.labels import Labels, parse_labels
from edgeseg.text import explain

__all__ = ["VOC"]

_IMAGES: Final = "JPEGImages"
# Where masks lie. labelme writes arrays into SegmentationClass/ beside a folder of PNGs; SBD's
# masks of more images are in SegmentationClassAug/, and have no void along outlines.
_MASKS: Final = ("SegmentationClassPNG", "SegmentationClass", "SegmentationClassAug")
_LISTS: Final = (("ImageSets", "Segmentation"), ("ImageSets",), ())
_LOOKED_FOR: Final = "JPEGImages/ and SegmentationClass/"
_YEAR: Final = re.compile(r"VOC20\d\d")
# Names of the pictures of 2007 to 2012; those that were given out in 2007 itself have no year.
_NAME: Final = re.compile(r"20(07|08|09|10|11|12)_\d{6}")
_NAME_OF_2007: Final = re.compile(r"\d{6}")
# In the order of the ids (the development kit's VOCinit.m).
_CLASSES: Final = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
_VOID: Final = 255
_VOID_COLOR: Final = (224, 224, 192)
_IDS: Final = IdMap("Pascal VOC", {own: own for own in (*range(len(_CLASSES) + 1), _VOID)})


def _recognize(root: Path, _rules: Rules) -> bool:
    return bool(_find_roots(root))


def _find_roots(root: Path) -> tuple[Path, ...]:
    """Find the folder itself, or the years of VOC's development kit in it."""
    years = (root / name for name in list_folders(root) if _YEAR.fullmatch(name))
    places = (root, *years)
    found = [one for one in places if (one / _IMAGES).is_dir() and list_folders(one, _MASKS)]
    return (root,) if root in found else tuple(found)


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    root = _choose_root(root)
    lists = _find_lists(root)
    own = choose_split(tuple(lists), split, origin=str(root))
    images = {path.stem: path for path in list_files(root / _IMAGES)}
    names = list(images) if own is None else list(_read_list(lists[own], images))
    classes, ids = _name_classes(root, names, rules)
    masks = _list_masks(root, classes.rules.mask_suffix or "")
    absent = root / list_folders(root, _MASKS)[0]
    listed = {one: masks.get(one, [absent / f"{one}.png"]) for one in names if one in images}
    pairs = [
        FilePair(images[one], MaskFile(own[0], ids, classes.colors))
        for one, own in listed.items()
        if len(own) == 1
    ]
    items, unpaired = pair_up(pairs, masks={path for own in masks.values() for path in own})
    twins = (explain_twins(images[one], own) for one, own in listed.items() if len(own) > 1)
    missing = (
        Unpaired(name=name, reason=f"{root / _IMAGES} has no image {name}, which {own}.txt lists")
        for name in names
        if name not in images
    )
    return Dataset(
        origin=str(root),
        split=own,
        items=items,
        labels=classes.labels,
        unpaired=(*unpaired, *twins, *missing),
        splits=tuple(lists),
        rules=classes.rules,
        said=classes.said,
        notes=classes.notes,
    )


def _choose_root(root: Path) -> Path:
    roots = _find_roots(root)
    if not roots:
        raise DatasetError(f"data set {root} has no {_LOOKED_FOR}")
    if len(roots) > 1:
        raise DatasetError(
            f"data set {root} holds {', '.join(one.name for one in roots)}; give the folder of one"
        )
    return roots[0]


def _find_lists(root: Path) -> Mapping[str, Path]:
    """Find the lists of the splits: the first place that has some."""
    for parts in _LISTS:
        folder = root.joinpath(*parts)
        found = list_files(folder, (".txt",)) if folder.is_dir() else []
        usual = [path for path in found if parts or path.stem in {"train", "val", "test"}]
        if usual:
            return {path.stem: path for path in usual}
    return {}


def _read_list(path: Path, images: Mapping[str, Path]) -> Iterator[str]:
    """Read the names of a split's images: one a line, or its path and its mask's."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {explain(error)}") from None
    for line in lines:
        whole = line.strip()
        if whole:
            yield whole if whole in images else _take_stem(whole.split()[0])


def _take_stem(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def _list_masks(root: Path, suffix: str) -> dict[str, list[Path]]:
    """List the masks of each image, in the first folder that has one."""
    found: dict[str, list[Path]] = {}
    for folder in list_folders(root, _MASKS):
        for path in list_files(root / folder, MASK_SUFFIXES):
            own = path.stem.removesuffix(suffix)
            if path.stem.endswith(suffix) and found.get(own, [path])[0].parent == path.parent:
                found.setdefault(own, []).append(path)
    return found


def _name_classes(root: Path, names: list[str], rules: Rules) -> tuple[Classes, IdMap | None]:
    """Find the classes: those that a file names, or VOC's own if the images are VOC's."""
    found = find_classes(root, given=rules)
    form = _NAME_OF_2007 if root.name == "VOC2007" else _NAME
    if found.labels is not None or not names or not form.fullmatch(names[0]):
        return found, None
    labels = _make_labels()
    colors = make_color_table(labels, origin="Pascal VOC", ignored=[_VOID_COLOR])
    told = (
        f"the images are named as those of Pascal VOC ({names[0]}), so the ids are its 20 classes "
        f"and background; a dataset.json with other classes says otherwise"
    )
    return replace(found, labels=labels, colors=colors, notes=(*found.notes, told)), _IDS


def _make_labels() -> Labels:
    # Generated colors are VOC's color map, from its second color on.
    rest = parse_labels({"classes": list(_CLASSES)}, origin="Pascal VOC")
    return Labels(classes=("background", *rest.classes), palette=((0, 0, 0), *rest.palette))


VOC: Final = Layout(
    name="voc",
    title="a data set in Pascal VOC's form",
    looked_for=_LOOKED_FOR,
    recognize=_recognize,
    open=_open,
)
