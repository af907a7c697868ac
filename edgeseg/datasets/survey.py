"""What all masks of a data set tell together, and none alone: palettes that differ, smoothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from edgeseg.datasets.edges import looks_smoothed
from edgeseg.datasets.items import Sample
from edgeseg.datasets.uncounted import Tally
from edgeseg.labels import Labels, Rgb

__all__ = ["Survey"]

_MOST_COLORS: Final = 2  # of an index: one to compare with, and one that differs


class Survey:
    """Takes sample after sample and keeps none; small, and travels between processes.

    `colors[index]` are the first colors of a palette's index, and in which mask each was seen;
    `smoothed` names the masks that look so; `tally` counts ids.
    """

    def __init__(self) -> None:
        self.colors: dict[int, dict[Rgb, str]] = {}
        self.smoothed: list[str] = []
        self.tally = Tally()

    def add(self, sample: Sample) -> None:
        """Look at one mask."""
        for index, color in sample.colors.items():
            self._see(index, color, sample.name)
        self.tally.add(sample.mask)
        if looks_smoothed(sample.mask):
            self.smoothed.append(sample.name)

    @staticmethod
    def joined(parts: Sequence[Survey]) -> Survey:
        """As if one had seen all samples, in that order."""
        whole = Survey()
        for part in parts:
            for index, seen in part.colors.items():
                for color, name in seen.items():
                    whole._see(index, color, name)
            whole.smoothed += part.smoothed
            whole.tally.join(part.tally)
        return whole

    def notes(self, named: Labels | None) -> Iterator[str]:
        """In a sentence each; `named` are the data set's own classes where it gave them colors."""
        yield from self._recolored()
        if named is not None:
            yield from _contradicted(self.colors, named)
        if self.smoothed:
            yield (
                f"masks that look smoothed, with many ids that lie along edges only: "
                f"{len(self.smoothed)}, the first {self.smoothed[0]}; each such id counts as the "
                f"class of that number: save masks without antialiasing"
            )

    def _see(self, index: int, color: Rgb, name: str) -> None:
        seen = self.colors.setdefault(index, {})
        if len(seen) < _MOST_COLORS:
            seen.setdefault(color, name)

    def _recolored(self) -> Iterator[str]:
        differing = [index for index in sorted(self.colors) if len(self.colors[index]) > 1]
        if not differing:
            return
        (first, one), (second, other) = self.colors[differing[0]].items()
        more = f", and so are {len(differing) - 1} more indexes" if len(differing) > 1 else ""
        yield (
            f"the masks' palettes differ, and an index is the id whatever its color: index "
            f"{differing[0]} is {_hex(first)} in {one} and {_hex(second)} in {other}{more}; do "
            f"their ids mean the same?"
        )


def _contradicted(colors: Mapping[int, Mapping[Rgb, str]], named: Labels) -> Iterator[str]:
    """An index that has the color of another class than its own."""
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
        f"color: index {index} of {name} is {_hex(color)}, the color of "
        f"{named.classes[places[color]]!r}, but id {index} is {named.classes[index]!r}{more}"
    )


def _hex(color: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
