"""Items of a data set: each reads or draws its image and ground truth when asked for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Protocol

from edgeseg.data_rules import ValueRange
from edgeseg.datasets.hashing import hash_file
from edgeseg.datasets.location import is_served
from edgeseg.datasets.truth.mask_file import Truth
from edgeseg.demo import draw_scene
from edgeseg.demo.splits import SIDE
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import ROTATED
from edgeseg.images.bands import read_frame, read_frame_and_convert
from edgeseg.labels import Rgb
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.spec import RGB
from edgeseg.text import explain

__all__ = ["DrawnScene", "FilePair", "Item", "Sample"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An image, uint8 BGR (H, W, 3), and its ground truth: class ids (H, W).

    An image of other than three channels is (H, W, C), in the order of its file.
    `conversions` are those of `edgeseg.images.CONVERSIONS` that made the image 8-bit BGR. `colors`
    maps the ids in the mask's file to their RGB colors, if the file has a palette. `unknown` counts
    the pixels of a painted mask whose colors stand for no class; they have the ignored id.
    `smoothed` says whether the file's ids look smoothed; None if that was not looked for.
    """

    name: str
    image: Bgr
    mask: ClassMap
    conversions: tuple[str, ...] = ()
    colors: Mapping[int, Rgb] = field(default_factory=dict)
    unknown: Mapping[Rgb, int] = field(default_factory=dict)
    smoothed: bool | None = None


class Item(Protocol):
    """An image with ground truth, which can be read any number of times with the same result."""

    @property
    def name(self) -> str:
        """The item's name in lists and messages."""

    @property
    def truth(self) -> Truth | None:
        """The ground truth alone; None if it is drawn with the image."""

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
class FilePair:
    """An image file and its ground truth; the image is read as one of so many `channels`.

    `value_range` says which values of a deep image become 0 and 255.
    """

    image_path: Path
    truth: Truth
    channels: int = RGB
    value_range: ValueRange | None = None

    @property
    def name(self) -> str:
        """The image's name without its ending."""
        return self.image_path.stem

    @property
    def mask_path(self) -> Path:
        """The file that holds the ground truth."""
        return self.truth.path

    @property
    def sha256(self) -> str:
        """The hash of the image's bytes and of the ground truth."""
        try:
            image, truth = hash_file(self.image_path), self.truth.fingerprint
        except OSError as error:
            raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from None
        except Exception as error:  # for a URL, the library's own error
            raise SourceError(f"{self.image_path} cannot be read: {explain(error)}") from None
        scaled = "" if self.value_range is None else f" {self.value_range}"
        return hashlib.sha256(f"{image} {truth}{scaled}".encode()).hexdigest()

    def read(self) -> Sample:
        """Read both; see `Item`."""
        image, conversions = read_frame_and_convert(
            self.image_path, self.channels, self.value_range
        )
        truth = self.truth.read()
        if image.shape[:2] != truth.mask.shape:
            turned = ROTATED in conversions
            raise DatasetError(self._explain_misfit(image, truth.mask, turned=turned))
        return Sample(
            name=self.name,
            image=image,
            mask=truth.mask,
            conversions=conversions,
            colors=truth.colors,
            unknown=truth.unknown,
        )

    def image(self) -> Bgr:
        """Read the image; see `Item`."""
        return read_frame(self.image_path, self.channels, self.value_range)

    def read_as(self, channels: int) -> FilePair:
        """Return the pair whose image is read as one of so many channels."""
        return replace(self, channels=channels)

    def make_absolute(self) -> FilePair:
        """Return the same pair by absolute paths."""
        path = self.image_path.absolute()
        return replace(self, image_path=path, truth=self.truth.make_absolute())

    @property
    def withheld(self) -> str | None:
        """Why a server does not deliver one of the files; None if it does, or if they are local.

        A missing file is then no fault of the data set, and to skip it would measure a part only.
        """
        for path in (self.image_path, self.mask_path):
            if not is_served(path):
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
    truth: ClassVar[None] = None

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
