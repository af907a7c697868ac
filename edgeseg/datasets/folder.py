"""Opens a folder of images and masks with the same names.

ROOT/[SPLIT/]images/NAME.jpg      ROOT/[SPLIT/]masks/NAME.png      ROOT/[SPLIT/]dataset.json
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgeseg.datasets.items import Dataset, FilePair, Unpaired
from edgeseg.datasets.pairing import pair_up
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import IMAGE_SUFFIXES, list_files
from edgeseg.images.bands import BANDS_SUFFIX, list_frames
from edgeseg.labels import Labels, parse_labels
from edgeseg.text import explain

__all__ = ["SPLITS", "open_folder"]

SPLITS: Final = ("train", "val", "test")


def open_folder(root: Path, split: str | None) -> Dataset:
    """List a folder; without `split` the folder must hold `images` and `masks` itself.

    Raises:
        DatasetError: there is no such folder or split, there are no images, or none has a mask.
        SourceError: the folder's dataset.json cannot be read.
    """
    try:
        found = _list_folder(root, split)
    except OSError as error:  # a name that is too long, or a folder that is closed
        raise DatasetError(f"data set {root} cannot be read: {error.strerror}") from None
    return found if found.items else found.require_complete()


def _list_folder(root: Path, split: str | None) -> Dataset:
    if not root.is_dir():
        raise DatasetError(f"data set {root} is no folder; give a folder, or `demo`")
    folder = root if split is None else root / split
    if not (folder / "images").is_dir() or not (folder / "masks").is_dir():
        raise DatasetError(_explain_no_images(root, split))
    images = list_frames(folder / "images")
    if not images:
        raise DatasetError(
            f"{folder / 'images'} holds no images; put some there "
            f"({', '.join((*IMAGE_SUFFIXES, BANDS_SUFFIX))})"
        )
    items, unpaired = _pair_by_name(images, folder / "masks")
    labels, said = _read_labels(folder, root)
    return Dataset(
        origin=str(root),
        split=split,
        items=items,
        labels=labels,
        unpaired=unpaired,
        said=said,
    )


def _pair_by_name(
    images: Sequence[Path], folder: Path
) -> tuple[tuple[FilePair, ...], tuple[Unpaired, ...]]:
    """Pair images with the masks of the same name; also list what has no partner."""
    masks = list_files(folder, (".png",))
    by_name = {path.stem: path for path in masks}
    pairs = [FilePair(path, by_name.get(path.stem, folder / f"{path.stem}.png")) for path in images]
    items, unpaired = pair_up(pairs, masks=set(masks))
    taken = {pair.mask_path for pair in pairs}
    alone = (
        Unpaired(name=path.stem, reason=f"{path} has no image of its own in {images[0].parent}")
        for path in masks
        if path not in taken
    )
    return items, (*unpaired, *alone)


def _read_labels(*folders: Path) -> tuple[Labels | None, frozenset[str]]:
    """Read the first dataset.json that exists: its labels, and the keys it has."""
    paths = [path for path in (folder / "dataset.json" for folder in folders) if path.exists()]
    if not paths:
        return None, frozenset()
    try:
        content = json.loads(paths[0].read_text("utf-8"))
        return parse_labels(content, origin=str(paths[0])), frozenset(content)
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{paths[0]} cannot be read: {explain(error)}") from None


def _explain_no_images(root: Path, split: str | None) -> str:
    there = [name for name in SPLITS if (root / name / "images").is_dir()]
    if split is not None:
        hint = _suggest_split(root, there)
        return f"data set {root} has no split {split!r} with images/ and masks/; {hint}"
    if there:
        return f"data set {root} has the splits {', '.join(there)}; choose one with --split"
    return (
        f"data set {root} has no images/ and masks/; make them, or name a published data set, as "
        f"ade20k:{root}"
    )


def _suggest_split(root: Path, there: Sequence[str]) -> str:
    if there:
        return f"it has: {', '.join(there)}"
    whole = (root / "images").is_dir() and (root / "masks").is_dir()
    return "it has no splits" + ("; leave --split out to take all of it" if whole else "")
