"""A data set: items in a fixed order, and what is known of all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgeseg.data_rules import NO_RULES, Rules
from edgeseg.datasets.items import Item, Sample
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels
from edgeseg.progress import SILENT, Progress, track
from edgeseg.redact import redact
from edgeseg.text import to_encodable

__all__ = ["Dataset", "Rest", "Unpaired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaired:
    """An image without its mask, or a mask without its image; `reason` names the path."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The class of pixels of no shape, in a data set of shapes.

    `own` is its id. `is_added` says that the data set names no such class itself, and `is_ordered`
    that a file gives the classes in the order of the model's ids.
    """

    own: int
    is_added: bool
    is_ordered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Items in a fixed order.

    `origin` is how the user named the data set, and `split` which part of it this is. `labels` are
    its classes; None if nothing names them. `unpaired` are images without a mask and masks without
    an image. `layout` names the form of its files. `splits` are the names that it has. `rules` say
    how its ids are read, and `said` are the keys that its dataset.json has. `rest` is the class of
    pixels of no shape, if the truth is shapes. `notes` say what was recognized or guessed, or
    follows from the checkpoint.
    """

    origin: str
    split: str | None
    items: tuple[Item, ...]
    labels: Labels | None
    unpaired: tuple[Unpaired, ...] = ()
    layout: str = ""
    splits: tuple[str, ...] = ()
    rules: Rules = NO_RULES
    said: frozenset[str] = frozenset()
    rest: Rest | None = None
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
        return self.compute_sha256(SILENT)

    def compute_sha256(self, progress: Progress) -> str:
        """Compute `sha256`, which reads every file, and say how far it is."""
        digest = hashlib.sha256()
        for item in track(progress, "hashing", self.items):
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

    def add_notes(self, *notes: str) -> Dataset:
        """Return the data set with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def take_evenly(self, count: int) -> Dataset:
        """Keep items at equal distances: at least `count`, or all if there are fewer."""
        return replace(self, items=self.items[:: max(1, len(self.items) // count)])
