"""Ground truth in a file of its own: ids, or colors that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from edgeseg.datasets.hashing import hash_file
from edgeseg.datasets.truth.color_table import ColorTable, refuse_unknown_palette
from edgeseg.datasets.truth.id_map import IdMap
from edgeseg.images import StoredMask, read_stored_mask
from edgeseg.labels import Rgb
from edgeseg.pixels import ClassMap

__all__ = ["MaskFile", "ReadTruth", "Truth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTruth:
    """The ids of an image's pixels, (H, W) uint8 or uint16.

    `colors` maps the ids in the file to their RGB colors, if it has a palette. `unknown` counts
    the pixels of colors that stand for no class; they are not counted.
    """

    mask: ClassMap
    colors: Mapping[int, Rgb] = field(default_factory=dict)
    unknown: Mapping[Rgb, int] = field(default_factory=dict)


class Truth(Protocol):
    """The ground truth of one image, which can be read again and again with the same result."""

    @property
    def path(self) -> Path:
        """The file that holds the ground truth."""

    @property
    def is_verbatim(self) -> bool:
        """Whether the ids are those that somebody wrote, perhaps 0 and 255 for two classes."""

    @property
    def fingerprint(self) -> str:
        """A text that changes if what is read changes: a hash of the file, and how it is read.

        Raises:
            OSError: a file cannot be read.
        """

    def read(self) -> ReadTruth:
        """Read the ids, and what is known of their colors.

        Raises:
            SourceError: the file cannot be read.
            DatasetError: it holds what has no class.
        """

    def make_absolute(self) -> Truth:
        """Return the same truth at an absolute path."""


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A mask file; `ids` is set if its ids are not class ids, `colors` if it may be painted."""

    path: Path
    ids: IdMap | None = None
    colors: ColorTable | None = None

    @property
    def is_verbatim(self) -> bool:
        """Whether no published data set says what the ids are."""
        return self.ids is None

    @property
    def fingerprint(self) -> str:
        """The hash of the file's bytes, and what its ids or colors mean."""
        kind = "" if self.ids is None else f" {self.ids.name}"
        if self.colors is not None:
            kind += f" {sorted(self.colors.ids.items())} {self.colors.ignored}"
        return f"{hash_file(self.path)}{kind}"

    def read(self) -> ReadTruth:
        """Read the file; see `Truth`."""
        stored = read_stored_mask(self.path)
        if stored.painted is not None and self.colors is not None:
            mask, unknown = self.colors.apply(stored.painted, self.path)
            return ReadTruth(mask=mask, unknown=unknown)
        return ReadTruth(mask=self._take_ids(stored), colors=stored.colors)

    def make_absolute(self) -> MaskFile:
        """Return the same file by its absolute path."""
        return replace(self, path=self.path.absolute())

    def _take_ids(self, stored: StoredMask) -> ClassMap:
        if stored.ids is None:
            assert stored.painted is not None, "a mask has ids or colors"
            raise refuse_unknown_palette(stored.painted, self.path)
        return stored.ids if self.ids is None else self.ids.apply(stored.ids, self.path)
