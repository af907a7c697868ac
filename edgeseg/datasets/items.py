"""A data set is a list of items, which read or draw their image and mask when asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from edgeseg.datasets.hashing import hash_file
from edgeseg.datasets.location import is_remote
from edgeseg.demo import draw_scene
from edgeseg.demo.splits import SIDE
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import ROTATED, read_painted_mask
from edgeseg.images.bands import read_frame, read_frame_and_convert
from edgeseg.labels import Labels, Rgb
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.redact import redact
from edgeseg.spec import RGB
from edgeseg.text import explain, to_encodable

__all__ = ["Dataset", "DrawnScene", "FilePair", "IdMap", "Item", "Sample", "Unpaired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An image, uint8 BGR (H, W, 3), and its ground truth: class ids (H, W).

    An image of other than three channels is (H, W, C), in the order of its file.
    `conversions` are those of `edgeseg.images.CONVERSIONS` that made the image 8-bit BGR. `colors`
    maps the ids in the mask's file to their RGB colors, if the file has a palette.
    """

    name: str
    image: Bgr
    mask: ClassMap
    conversions: tuple[str, ...] = ()
    colors: Mapping[int, Rgb] = field(default_factory=dict)


class Item(Protocol):
    """An image with ground truth, which can be read any number of times with the same result."""

    @property
    def name(self) -> str:
        """The item's name in lists and messages."""

    @property
    def sha256(self) -> str:
        """A hash of the image and its ground truth, which changes if either changes.

        Raises:
            SourceError: a file cannot be read.
        """

    def read(self) -> Sample:
        """Read image and ground truth.

        Raises:
            SourceError: a file cannot be read.
            DatasetError: the mask has another size than its image, or an id that has no class.
        """

    def image(self) -> Bgr:
        """Read the image alone, uint8 BGR (H, W, 3), or (H, W, C) of other channels.

        Raises:
            SourceError: a file cannot be read.
        """

    def read_as(self, channels: int) -> Item:
        """Return the item whose image is read as one of so many channels.

        Raises:
            DatasetError: it has another number of them, whatever its file holds.
        """


@dataclass(frozen=True, slots=True)
class IdMap:
    """What the ids in a data set's masks mean: `table[id]` is the class id of a valid id."""

    name: str
    table: Mapping[int, int]

    def apply(self, mask: ClassMap, origin: Path) -> ClassMap:
        """Turn a mask, (H, W), of the data set's ids into class ids.

        Raises:
            DatasetError: the mask holds an id that the data set does not have.
        """
        found = np.unique(mask)
        unknown = [int(value) for value in found if int(value) not in self.table]
        if unknown:
            raise DatasetError(
                f"{origin} holds the ids {', '.join(map(str, unknown[:5]))}, which {self.name} "
                f"does not have; give the masks that belong to {self.name}"
            )
        lookup = np.zeros(int(found[-1]) + 1, np.uint8)
        for value in found:
            lookup[value] = self.table[int(value)]
        return lookup[mask]


@dataclass(frozen=True, slots=True)
class FilePair:
    """An image file and its mask file; `ids` is set if the mask's ids are not class ids already.

    `channels` are those that the image is read as.
    """

    image_path: Path
    mask_path: Path
    ids: IdMap | None = None
    channels: int = RGB

    @property
    def name(self) -> str:
        """The image's name without its ending."""
        return self.image_path.stem

    @property
    def sha256(self) -> str:
        """The hash of both files' bytes."""
        try:
            image, mask = (hash_file(path) for path in (self.image_path, self.mask_path))
        except OSError as error:
            raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from None
        except Exception as error:  # for a URL, the library's own error
            raise SourceError(f"{self.image_path} cannot be read: {explain(error)}") from None
        kind = "" if self.ids is None else f" {self.ids.name}"
        return hashlib.sha256(f"{image} {mask}{kind}".encode()).hexdigest()

    def read(self) -> Sample:
        """Read both files; see `Item`."""
        image, conversions = read_frame_and_convert(self.image_path, self.channels)
        mask, colors = read_painted_mask(self.mask_path)
        if self.ids is not None:
            mask = self.ids.apply(mask, self.mask_path)
        if image.shape[:2] != mask.shape:
            raise DatasetError(self._explain_misfit(image, mask, turned=ROTATED in conversions))
        return Sample(
            name=self.name, image=image, mask=mask, conversions=conversions, colors=colors
        )

    def image(self) -> Bgr:
        """Read the image; see `Item`."""
        return read_frame(self.image_path, self.channels)

    def read_as(self, channels: int) -> FilePair:
        """Return the pair whose image is read as one of so many channels."""
        return replace(self, channels=channels)

    @property
    def withheld(self) -> str | None:
        """Why a server does not deliver one of the files; None if it does, or if they are local.

        A missing file is then no fault of the data set, and to skip it would measure a part only.
        """
        for path in (self.image_path, self.mask_path):
            if not is_remote(path):
                continue
            try:
                path.read_bytes()
            except Exception as error:  # each kind of URL raises its own library's errors
                return f"{path} is listed and cannot be fetched: {explain(error)}"
        return None

    def _explain_misfit(self, image: Bgr, mask: ClassMap, *, turned: bool) -> str:
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
    """A frame of a drive through the demo's streets, `edgeseg.demo.splits.SIDE` pixels square."""

    seed: int
    frame: int

    @property
    def name(self) -> str:
        """The drive and the frame."""
        return f"drive{self.seed}_{self.frame:04d}"

    @property
    def sha256(self) -> str:
        """The hash of the seed, the frame number and the size."""
        text = f"edgeseg.demo {self.seed} {self.frame} {SIDE}"
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self) -> Sample:
        """Draw the frame and its ground truth."""
        drawn = draw_scene(self.seed, self.frame, height=SIDE, width=SIDE)
        return Sample(name=self.name, image=drawn.image, mask=drawn.mask)

    def image(self) -> Bgr:
        """Draw the frame."""
        return self.read().image

    def read_as(self, channels: int) -> DrawnScene:
        """Return the scene itself, if color is asked for; see `Item`."""
        if channels != RGB:
            raise DatasetError(
                f"drawn scenes have three channels, and the network takes {channels}; give a "
                f"folder of images and masks with --data"
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaired:
    """An image without its mask, or a mask without its image; `reason` names the path."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Items in a fixed order.

    `origin` is how the user named the data set, and `split` which part of it this is. `labels` are
    its classes; None if nothing names them. `unpaired` are images without a mask and masks without
    an image. `said` are the keys of its dataset.json. `notes` say how its masks are read, if that
    was guessed or follows from the checkpoint.
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
        """The folder's own name, fit for JSON. A path means nothing on another machine."""
        origin = redact(self.origin) if "://" in self.origin else self.origin
        return to_encodable(Path(origin).resolve().name)

    @property
    def sha256(self) -> str:
        """A hash of every item, in order."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(item.sha256.encode())
        return digest.hexdigest()

    def require_complete(self) -> Dataset:
        """Return the data set itself, if every image has its mask and every mask its image.

        Raises:
            DatasetError: something is unpaired.
        """
        if self.unpaired:
            raise DatasetError(
                f"data set {self.origin} is not complete; images or masks without the other: "
                f"{len(self.unpaired)}, the first: {self.unpaired[0].reason}"
            )
        return self

    def read_as(self, channels: int) -> Dataset:
        """Return the data set whose images are read as those of so many channels.

        Raises:
            DatasetError: its images have another number of them, whatever their files hold.
        """
        return replace(self, items=tuple(item.read_as(channels) for item in self.items))

    def take_evenly(self, count: int) -> Dataset:
        """Keep items at equal distances: at least `count`, or all if there are fewer."""
        return replace(self, items=self.items[:: max(1, len(self.items) // count)])
