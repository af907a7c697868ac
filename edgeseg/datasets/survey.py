"""Finds faults of masks that no single mask shows: palettes that differ, and smoothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from edgeseg.datasets.edges import looks_smoothed
from edgeseg.datasets.items import Sample
from edgeseg.datasets.uncounted import Tally
from edgeseg.labels import Labels, Rgb, to_hex
from edgeseg.pixels import Bgr

__all__ = ["Survey"]

_MOST_NAMED: Final = 5
_MOST_COLORS: Final = 2  # colors an index: one to compare with, and one that differs


class Survey:
    """Notes about the samples that were added. They can be sent between processes.

    `colors[index]` maps the first colors of a palette's index to the mask that has each;
    `smoothed` names the masks that look smoothed; `tally` counts ids; `unknown` counts the pixels
    of colors that stand for no class, and `stained` names the masks that hold some. `sizes` counts
    images by height and width, in pixels; `shown` counts the images that show each id. `prints`
    maps a hash of an image's pixels to its name, and `twins` pairs images with the same pixels.
    """

    def __init__(self) -> None:
        self.colors: dict[int, dict[Rgb, str]] = {}
        self.smoothed: list[str] = []
        self.tally = Tally()
        self.unknown: Counter[Rgb] = Counter()
        self.stained: list[str] = []
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.shown: Counter[int] = Counter()
        self.prints: dict[bytes, str] = {}
        self.twins: list[tuple[str, str]] = []

    def add(self, sample: Sample) -> None:
        """Take notes of one sample, which is not kept.

        If its ids are not those of its file, `read_for_survey` has to read it.
        """
        for index, color in sample.colors.items():
            self._see(index, color, sample.name)
        self.shown.update(self.tally.add(sample.mask))
        height, width = sample.image.shape[:2]
        self.sizes[height, width] += 1
        self._compare(_hash_pixels(sample.image), sample.name)
        if sample.unknown:
            self.unknown.update(sample.unknown)
            self.stained.append(sample.name)
        if looks_smoothed(sample.mask) if sample.smoothed is None else sample.smoothed:
            self.smoothed.append(sample.name)

    @staticmethod
    def join(parts: Sequence[Survey]) -> Survey:
        """Join the notes of several parts, as if one survey had seen all samples in this order."""
        whole = Survey()
        for part in parts:
            for index, seen in part.colors.items():
                for color, name in seen.items():
                    whole._see(index, color, name)
            whole.smoothed += part.smoothed
            whole.tally.join(part.tally)
            whole.unknown.update(part.unknown)
            whole.stained += part.stained
            whole.sizes.update(part.sizes)
            whole.shown.update(part.shown)
            whole.twins += part.twins
            for digest, name in part.prints.items():
                whole._compare(digest, name)
        return whole

    def notes(self, named: Labels | None) -> Iterator[str]:
        """Write a sentence for each fault; `named` are the data set's classes, if it has colors."""
        yield from self._find_recolored()
        if named is not None:
            yield from _find_contradictions(self.colors, named)
        if self.stained:
            yield self._describe_unknown_colors()
        if self.smoothed:
            yield (
                f"masks that look smoothed, with ids along edges that lie between those on both "
                f"sides: {len(self.smoothed)}, the first {self.smoothed[0]}; such an id counts as "
                f"what its number stands for: save masks without antialiasing, and resize or turn "
                f"them to the nearest pixel"
            )

    def _describe_unknown_colors(self) -> str:
        share = 100 * self.unknown.total() / max(1, self.tally.pixels.total())
        named = ", ".join(to_hex(color) for color, _ in self.unknown.most_common(_MOST_NAMED))
        return (
            f"painted masks with a few pixels of colors that are no class: {len(self.stained)}, "
            f"the first {self.stained[0]}; these pixels ({share:.4f} % of all) are not counted: "
            f"{named}"
        )

    def _compare(self, digest: bytes, name: str) -> None:
        """Note an image's pixels, and that another image has the same."""
        first = self.prints.setdefault(digest, name)
        if first != name:
            self.twins.append((first, name))

    def _see(self, index: int, color: Rgb, name: str) -> None:
        seen = self.colors.setdefault(index, {})
        if len(seen) < _MOST_COLORS:
            seen.setdefault(color, name)

    def _find_recolored(self) -> Iterator[str]:
        differing = [index for index in sorted(self.colors) if len(self.colors[index]) > 1]
        if not differing:
            return
        (first, one), (second, other) = self.colors[differing[0]].items()
        more = f", and so are {len(differing) - 1} more indexes" if len(differing) > 1 else ""
        yield (
            f"the masks' palettes differ, and an index is the id whatever its color: index "
            f"{differing[0]} is {to_hex(first)} in {one} and {to_hex(second)} in {other}{more}; "
            f"do their ids mean the same?"
        )


def _hash_pixels(image: Bgr) -> bytes:
    """Hash pixels and their shape; 16 bytes tell any number of images apart."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()[:16]


def _find_contradictions(colors: Mapping[int, Mapping[Rgb, str]], named: Labels) -> Iterator[str]:
    """Find indexes of palettes that have the color of another class."""
    places = {color: place for place, color in enumerate(named.palette)}
    wrong = [
        (index, color, name)
        for index, seen in sorted(colors.items())
        for color, name in seen.items()
        if index < len(named.palette)
        and color != named.palette[index]
        and places.get(color, index) != index
    ]
    if not wrong:
        return
    index, color, name = wrong[0]
    more = f"; {len(wrong) - 1} more indexes are so" if len(wrong) > 1 else ""
    yield (
        f"the masks' palettes contradict dataset.json's, and an index is the id whatever its "
        f"color: index {index} of {name} is {to_hex(color)}, the color of "
        f"{named.classes[places[color]]!r}, but id {index} is {named.classes[index]!r}{more}"
    )
