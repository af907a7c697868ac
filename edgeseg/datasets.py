"""Images with ground truth: a folder of images and masks, or drawn scenes.

    ROOT/[SPLIT/]images/NAME.jpg      ROOT/[SPLIT/]masks/NAME.png      ROOT/[SPLIT/]dataset.json

A data set is a list of what can be read; an image is read, or drawn, when its turn comes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from edgeseg.demo import DEMO, scene
from edgeseg.demo.splits import DEMO_SPLITS, SIDE
from edgeseg.errors import DatasetError, SourceError
from edgeseg.files import sha256_of
from edgeseg.images import IMAGE_SUFFIXES, read_image, read_mask
from edgeseg.labels import Labels, known_labels, parse_labels
from edgeseg.pixels import Bgr, ClassMap

__all__ = ["SPLITS", "Dataset", "DrawnScene", "FilePair", "Item", "Sample", "open_dataset"]

SPLITS: Final = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image and its ground truth, of the same size."""

    name: str
    image: Bgr
    mask: ClassMap


class Item(Protocol):
    """Something that can be read, again and again, with the same result."""

    @property
    def name(self) -> str:
        """Which one it is, in lists and messages."""

    @property
    def sha256(self) -> str:
        """A hash of all that `read` reads: another image or another truth has another.

        Raises:
            SourceError: a file that cannot be read.
        """

    def read(self) -> Sample:
        """Read image and ground truth.

        Raises:
            SourceError: a file that cannot be read.
            DatasetError: a mask of another size than its image.
        """

    def image(self) -> Bgr:
        """Read the image alone.

        Raises:
            SourceError: a file that cannot be read.
        """


@dataclass(frozen=True, slots=True)
class FilePair:
    """An image file and its mask's."""

    image_path: Path
    mask_path: Path

    @property
    def name(self) -> str:
        """The image's name without its ending."""
        return self.image_path.stem

    @property
    def sha256(self) -> str:
        """Of both files' bytes."""
        try:
            image, mask = (sha256_of(path) for path in (self.image_path, self.mask_path))
        except OSError as error:
            raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from None
        return hashlib.sha256(f"{image} {mask}".encode()).hexdigest()

    def read(self) -> Sample:
        """Read both files; see `Item`."""
        image, mask = self.image(), read_mask(self.mask_path)
        if image.shape[:2] != mask.shape:
            raise DatasetError(
                f"{self.mask_path} is {mask.shape[1]}x{mask.shape[0]}, but its image "
                f"{self.image_path.name} is {image.shape[1]}x{image.shape[0]} (width x height)"
            )
        return Sample(name=self.name, image=image, mask=mask)

    def image(self) -> Bgr:
        """Read the image; see `Item`."""
        return read_image(self.image_path)


@dataclass(frozen=True, slots=True)
class DrawnScene:
    """A frame of a drive through the demo's streets, `SIDE` pixels high and wide."""

    seed: int
    frame: int

    @property
    def name(self) -> str:
        """The drive and the frame."""
        return f"drive{self.seed}_{self.frame:04d}"

    @property
    def sha256(self) -> str:
        """Of what it is drawn from."""
        text = f"edgeseg.demo {self.seed} {self.frame} {SIDE}"
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self) -> Sample:
        """Draw it."""
        drawn = scene(self.seed, self.frame, height=SIDE, width=SIDE)
        return Sample(name=self.name, image=drawn.image, mask=drawn.mask)

    def image(self) -> Bgr:
        """Draw it."""
        return self.read().image


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Items in a fixed order. `origin` is what the user called it; `labels` may be unknown."""

    origin: str
    split: str | None
    items: tuple[Item, ...]
    labels: Labels | None

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Sample]:
        """Read sample after sample; see `Item.read` for what it raises."""
        for item in self.items:
            yield item.read()

    @property
    def title(self) -> str:
        """The folder's own name: paths of one machine say nothing on another."""
        return Path(self.origin).resolve().name

    @property
    def sha256(self) -> str:
        """A hash of every item, in order."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(item.sha256.encode())
        return digest.hexdigest()

    def spread(self, count: int) -> Dataset:
        """About `count` items, at equal distances; all where there are fewer."""
        return replace(self, items=self.items[:: max(1, len(self.items) // count)])


def open_dataset(source: str | Path, *, split: str | None = None) -> Dataset:
    """List a data set: `demo`, whose split is `test` unless named, or a folder.

    Without `split` a folder itself must hold `images` and `masks`.

    Raises:
        DatasetError: no such folder or split, no images, or images without masks.
    """
    return _demo(split or "test") if str(source) == DEMO else _folder(Path(source), split)


def _demo(split: str) -> Dataset:
    if split not in DEMO_SPLITS:
        raise DatasetError(
            f"data set demo has no split {split!r}; it has: {', '.join(DEMO_SPLITS)}"
        )
    items = tuple(DrawnScene(seed, frame) for seed, frame in DEMO_SPLITS[split].frames())
    return Dataset(origin=DEMO, split=split, items=items, labels=known_labels("camvid"))


def _folder(root: Path, split: str | None) -> Dataset:
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
