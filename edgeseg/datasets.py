"""A folder of images and masks as a stream of samples.

    ROOT/[SPLIT/]images/NAME.jpg      ROOT/[SPLIT/]masks/NAME.png      ROOT/[SPLIT/]dataset.json

Only paths are kept; an image is read when its turn comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import IMAGE_SUFFIXES, read_image, read_mask
from edgeseg.labels import Labels, parse_labels
from edgeseg.pixels import Bgr, ClassMap

__all__ = ["SPLITS", "Dataset", "Sample", "open_dataset"]

SPLITS: Final = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image and its ground truth, of the same size."""

    name: str
    image: Bgr
    mask: ClassMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Pairs of files, in the order of their names."""

    root: Path
    split: str | None
    pairs: tuple[tuple[Path, Path], ...]
    labels: Labels | None

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Sample]:
        """Read sample after sample.

        Raises:
            SourceError: a file that cannot be read.
            DatasetError: a mask of another size than its image.
        """
        for image_path, mask_path in self.pairs:
            image, mask = read_image(image_path), read_mask(mask_path)
            if image.shape[:2] != mask.shape:
                raise DatasetError(
                    f"{mask_path} is {mask.shape[1]}x{mask.shape[0]}, but its image "
                    f"{image_path.name} is {image.shape[1]}x{image.shape[0]} (width x height)"
                )
            yield Sample(name=image_path.stem, image=image, mask=mask)


def open_dataset(root: Path, *, split: str | None = None) -> Dataset:
    """List a data set. Without `split` the folder itself must hold `images` and `masks`.

    Raises:
        DatasetError: no such folder or split, no images, or images without masks.
    """
    if not root.is_dir():
        raise DatasetError(f"data set {root} is not a folder")
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
        root=root,
        split=split,
        pairs=tuple((path, masks[stem]) for stem, path in images.items()),
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
