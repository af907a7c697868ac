"""A folder of images and masks with the same names.

ROOT/[SPLIT/]images/NAME.jpg      ROOT/[SPLIT/]masks/NAME.png      ROOT/[SPLIT/]dataset.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from edgeseg.datasets.items import Dataset, FilePair
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import IMAGE_SUFFIXES
from edgeseg.labels import Labels, parse_labels

__all__ = ["SPLITS", "open_folder"]

SPLITS: Final = ("train", "val", "test")


def open_folder(root: Path, split: str | None) -> Dataset:
    """List a folder; without `split` it must hold `images` and `masks` itself.

    Raises:
        DatasetError: no such folder or split, no images, or images without masks.
    """
    if not root.is_dir():
        raise DatasetError(f"data set {root} is not a folder; give one, or `demo`")
    folder = root if split is None else root / split
    if not (folder / "images").is_dir() or not (folder / "masks").is_dir():
        raise DatasetError(_no_images(root, split))
    images = {
        path.stem: path
        for path in sorted((folder / "images").iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES
    }
    masks = {path.stem: path for path in (folder / "masks").iterdir() if path.suffix == ".png"}
    unmatched = sorted(images.keys() - masks.keys())
    if unmatched:
        raise DatasetError(
            f"{len(unmatched)} images in {folder / 'images'} have no mask of the same name in "
            f"{folder / 'masks'}, the first: {', '.join(unmatched[:5])}"
        )
    if not images:
        raise DatasetError(f"{folder / 'images'} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return Dataset(
        origin=str(root),
        split=split,
        items=tuple(FilePair(path, masks[stem]) for stem, path in images.items()),
        labels=_read_labels(folder, root),
    )


def _read_labels(*folders: Path) -> Labels | None:
    paths = [path for path in (folder / "dataset.json" for folder in folders) if path.exists()]
    if not paths:
        return None
    try:
        return parse_labels(json.loads(paths[0].read_text("utf-8")), origin=str(paths[0]))
    except (OSError, ValueError) as error:
        raise SourceError(f"{paths[0]} cannot be read: {error}") from None


def _no_images(root: Path, split: str | None) -> str:
    there = [name for name in SPLITS if (root / name / "images").is_dir()]
    if split is not None:
        hint = f"it has: {', '.join(there)}" if there else "it has no splits"
        return f"data set {root} has no split {split!r} with images/ and masks/; {hint}"
    if there:
        return f"data set {root} has the splits {', '.join(there)}; choose one with --split"
    return f"data set {root} has no images/ and masks/"
