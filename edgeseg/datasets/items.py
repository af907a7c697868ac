"""A data set is a list of what can be read; an image is read, or drawn, when its turn comes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from edgeseg.datasets.hashing import file_hash
from edgeseg.datasets.location import is_remote
from edgeseg.demo import scene
from edgeseg.demo.splits import SIDE
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import ROTATED, read_converted, read_image, read_painted_mask
from edgeseg.labels import Labels, Rgb
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.redact import redact
from edgeseg.text import because

__all__ = ["Dataset", "DrawnScene", "FilePair", "IdMap", "Item", "Sample", "Unpaired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image, uint8 (H, W, 3), blue first, and its ground truth: class ids (H, W).

    `conversions` are those of `edgeseg.images.CONVERSIONS` that made the image 8-bit BGR. `colors`
    are those of the ids in the mask's file, where that has a palette.
    """

    name: str
    image: Bgr
    mask: ClassMap
    conversions: tuple[str, ...] = ()
    colors: Mapping[int, Rgb] = field(default_factory=dict)


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
        """Read the image alone: uint8 (H, W, 3), blue first.

        Raises:
            SourceError: a file that cannot be read.
        """


@dataclass(frozen=True, slots=True)
class IdMap:
    """What a data set's own ids mean: `table[id]` is the class id; the rest are none of its ids."""

    name: str
    table: Mapping[int, int]

    def apply(self, mask: ClassMap, origin: Path) -> ClassMap:
        """Class ids of a mask of the data set's ids.

        Raises:
            DatasetError: it holds an id that the data set does not have.
        """
        found = np.unique(mask)
        unknown = [int(value) for value in found if int(value) not in self.table]
        if unknown:
            raise DatasetError(
                f"{origin} holds the ids {', '.join(map(str, unknown[:5]))}, which {self.name} "
                f"does not have; is it a mask of another kind?"
            )
        lookup = np.zeros(int(found[-1]) + 1, np.uint8)
        for value in found:
            lookup[value] = self.table[int(value)]
        return lookup[mask]


@dataclass(frozen=True, slots=True)
class FilePair:
    """An image file and its mask's; `ids` where the mask's are not the classes' already."""

    image_path: Path
    mask_path: Path
    ids: IdMap | None = None

    @property
    def name(self) -> str:
        """The image's name without its ending."""
        return self.image_path.stem

    @property
    def sha256(self) -> str:
        """Of both files' bytes."""
        try:
            image, mask = (file_hash(path) for path in (self.image_path, self.mask_path))
        except OSError as error:
            raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from None
        except Exception as error:  # of a file at a URL its library's own
            raise SourceError(f"{self.image_path} cannot be read: {because(error)}") from None
        kind = "" if self.ids is None else f" {self.ids.name}"
        return hashlib.sha256(f"{image} {mask}{kind}".encode()).hexdigest()

    def read(self) -> Sample:
        """Read both files; see `Item`."""
        image, conversions = read_converted(self.image_path)
        mask, colors = read_painted_mask(self.mask_path)
        if self.ids is not None:
            mask = self.ids.apply(mask, self.mask_path)
        if image.shape[:2] != mask.shape:
            raise DatasetError(self._misfit(image, mask, turned=ROTATED in conversions))
        return Sample(
            name=self.name, image=image, mask=mask, conversions=conversions, colors=colors
        )

    def image(self) -> Bgr:
        """Read the image; see `Item`."""
        return read_image(self.image_path)

    @property
    def withheld(self) -> str | None:
        """Why the server of a file at a URL does not give it; None where it does, or of files here.

        What is listed and not given is no fault of the data set, which would be measured in part.
        """
        for path in (self.image_path, self.mask_path):
            if not is_remote(path):
                continue
            try:
                path.read_bytes()
            except Exception as error:  # its library's own
                return f"{path} is listed and cannot be fetched: {because(error)}"
        return None

    def _misfit(self, image: Bgr, mask: ClassMap, *, turned: bool) -> str:
        sizes = (
            f"{self.mask_path} is {mask.shape[0]}x{mask.shape[1]}, but its image "
            f"{self.image_path.name} is {image.shape[0]}x{image.shape[1]} (height x width)"
        )
        if turned and mask.shape == image.shape[1::-1]:
            return (
                f"{sizes}: the mask fits the image before its EXIF rotation; turn the mask, or "
                f"remove the image's tag"
            )
        return f"{sizes}; give the image its own mask"


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
class Unpaired:
    """An image without its mask, or a mask without its image; `reason` tells the path."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Items in a fixed order. `origin` is what the user called it; `labels` may be unknown.

    `unpaired` are files beside the items that cannot be items, for want of the other one. `said`
    are the keys that its own dataset.json has. `notes` say how its masks are read, where that was
    guessed or follows from the checkpoint.
    """

    origin: str
    split: str | None
    items: tuple[Item, ...]
    labels: Labels | None
    unpaired: tuple[Unpaired, ...] = ()
    said: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Sample]:
        """Read sample after sample; see `Item.read` for what it raises."""
        for item in self.items:
            yield item.read()

    @property
    def title(self) -> str:
        """The folder's own name: paths of one machine say nothing on another."""
        origin = redact(self.origin) if "://" in self.origin else self.origin
        return Path(origin).resolve().name

    @property
    def sha256(self) -> str:
        """A hash of every item, in order."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(item.sha256.encode())
        return digest.hexdigest()

    def whole(self) -> Dataset:
        """Itself, if every image has its mask and every mask its image.

        Raises:
            DatasetError: something is unpaired.
        """
        if self.unpaired:
            raise DatasetError(
                f"data set {self.origin} is not complete; images or masks without the other: "
                f"{len(self.unpaired)}, the first: {self.unpaired[0].reason}"
            )
        return self

    def spread(self, count: int) -> Dataset:
        """About `count` items, at equal distances; all where there are fewer."""
        return replace(self, items=self.items[:: max(1, len(self.items) // count)])
