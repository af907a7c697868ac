"""A folder of images and a folder of masks with the same names.

ROOT/[SPLIT/]images/NAME.jpg      ROOT/[SPLIT/]masks/NAME.png      ROOT/[SPLIT/]dataset.json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import Classes, find_classes
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.layout import SPLITS, Layout
from edgeseg.datasets.pairing import pair_by_name
from edgeseg.datasets.truth.mask_file import MaskFile
from edgeseg.errors import DatasetError, SplitNeededError
from edgeseg.images import IMAGE_SUFFIXES, MASK_SUFFIXES, list_files
from edgeseg.images.bands import BANDS_SUFFIX, list_frames

__all__ = ["FOLDER", "open_folders"]

_IMAGES: Final = "images"
_MASKS: Final = "masks"


def open_folders(
    root: Path, images: Path, masks: Path, *, split: str | None, classes: Classes
) -> Dataset:
    """List the pairs of a folder of images and a folder of masks, which may be the same.

    Raises:
        DatasetError: there are no images.
    """
    pictures, drawn = list_frames(images), list_files(masks, MASK_SUFFIXES)
    suffix = classes.rules.mask_suffix
    if images == masks:
        if suffix is None:
            raise DatasetError(
                f"{images} holds images and masks; say with --mask-suffix what the name of a mask "
                f"has after its image's, for example _mask"
            )
        drawn = [path for path in drawn if path.stem.endswith(suffix)]
        pictures = [path for path in pictures if path not in drawn]
    if not pictures:
        raise DatasetError(
            f"{images} holds no images; put some there "
            f"({', '.join((*IMAGE_SUFFIXES, BANDS_SUFFIX))})"
        )
    make_truth = partial(MaskFile, colors=classes.colors)
    paired = pair_by_name(pictures, drawn, folder=masks, make_truth=make_truth, suffix=suffix)
    told = (
        f"the name of a mask has {paired.suffix!r} after its image's; --mask-suffix says otherwise"
    )
    return Dataset(
        origin=str(root),
        split=split,
        items=paired.items,
        labels=classes.labels,
        unpaired=paired.unpaired,
        rules=classes.rules,
        said=classes.said,
        notes=(*classes.notes, *((told,) if paired.suffix and suffix is None else ())),
    )


def _recognize(root: Path, rules: Rules) -> bool:
    rules = find_classes(root, given=rules).rules
    named = rules.images_dir is not None or rules.masks_dir is not None
    return named or _find_parts(root, None, rules) is not None or bool(_list_splits(root, rules))


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    rules = find_classes(root, given=rules).rules  # it may name the folders
    there = _list_splits(root, rules)
    parts = _find_parts(root, split, rules)
    if parts is None:
        if split is None and there:
            raise SplitNeededError(root, there)
        raise DatasetError(_explain_no_images(root, split, there, rules))
    above = root if split is None else root / split
    found = open_folders(root, *parts, split=split, classes=find_classes(above, root, given=rules))
    return replace(found, splits=there)


def _find_parts(root: Path, split: str | None, rules: Rules) -> tuple[Path, Path] | None:
    """Find the folders of images and of masks: ROOT/SPLIT/images, or ROOT/images/SPLIT."""
    images, masks = _name_parts(rules)
    places = [(root / images, root / masks)]
    if split is not None:
        above, below = root / split, (root / images / split, root / masks / split)
        places = [(above / images, above / masks), below]
    return next((place for place in places if all(one.is_dir() for one in place)), None)


def _list_splits(root: Path, rules: Rules) -> tuple[str, ...]:
    return tuple(name for name in SPLITS if _find_parts(root, name, rules) is not None)


def _name_parts(rules: Rules) -> tuple[str, str]:
    return rules.images_dir or _IMAGES, rules.masks_dir or _MASKS


def _explain_no_images(root: Path, split: str | None, there: Sequence[str], rules: Rules) -> str:
    parts = " and ".join(f"{name}/" for name in _name_parts(rules))
    if split is not None:
        hint = f"it has: {', '.join(there)}" if there else "it has no splits"
        if not there and _find_parts(root, None, rules) is not None:
            hint += "; leave --split out to take all of it"
        return f"data set {root} has no split {split!r} with {parts}; {hint}"
    return (
        f"data set {root} has no {parts}; make them, or name yours with --images-dir and "
        f"--masks-dir"
    )


FOLDER: Final = Layout(
    name="folder",
    title="a folder of images and masks",
    looked_for="images/ and masks/, perhaps below train/, val/ and test/",
    recognize=_recognize,
    open=_open,
)
