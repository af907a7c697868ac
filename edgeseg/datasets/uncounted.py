"""Warns of pixels of the ground truth that are not counted, and of a 255 that may be a class.

In a data set of two classes some masks may be painted black and white: 255 is then a class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.painted import BLACK, WHITE
from edgeseg.datasets.reading import Matched, Reading
from edgeseg.pixels import ClassMap, count_ids

__all__ = ["Tally", "explain_uncounted"]

_LARGE: Final = 0.25  # share of all pixels
_RARE: Final = 10  # times as many pixels of 255 as of 1: too many for borders, so a painted class
_FEW: Final = 3  # ids: the two classes and the ignored one


class Tally:
    """Counts of ids: `pixels[id]` of pixels, `masks[ids]` of masks that hold just these few ids."""

    def __init__(self) -> None:
        self.pixels: Counter[int] = Counter()
        self.masks: Counter[frozenset[int]] = Counter()

    def add(self, mask: ClassMap) -> Sequence[int]:
        """Count one mask, and return its ids."""
        counts = count_ids(mask)
        ids: list[int] = np.flatnonzero(counts).tolist()
        self.pixels.update({own: int(counts[own]) for own in ids})
        if len(ids) <= _FEW:
            self.masks[frozenset(ids)] += 1
        return ids

    def join(self, other: Tally) -> None:
        """Add the counts of another tally."""
        self.pixels.update(other.pixels)
        self.masks.update(other.masks)


def explain_uncounted(tally: Tally, matched: Dataset) -> Iterator[str]:
    """Write a sentence for each warning about the counted masks, which are those of `matched`."""
    first = matched.items[0]
    if matched.labels is None or not isinstance(first, Matched):
        return
    ignored = matched.labels.ignore_index
    share = tally.pixels[ignored] / max(1, tally.pixels.total())
    if share >= _LARGE:
        yield (
            f"{100 * share:.1f} % of the ground truth's pixels are not counted: their ids are "
            f"ignored, or of no class of the model"
        )
    if first.reading.white_may_be is not None:
        yield from _explain_white(tally, first.reading, ignored)


def _explain_white(tally: Tally, reading: Reading, ignored: int) -> Iterator[str]:
    black, one = reading.table[BLACK], reading.table[1]
    if ignored in (black, one):
        return
    masks = {ids: n for ids, n in tally.masks.items() if ids <= {black, one, ignored}}
    alone = sum(n for ids, n in masks.items() if ignored in ids and one not in ids)
    settled = (
        f"if {WHITE} is {reading.white_may_be!r} in them, write all masks with the ids 0 and 1; "
        f'"ignore_index": {WHITE} in dataset.json says that it is not'
    )
    if alone and tally.pixels[one]:
        share = 100 * alone / sum(masks.values())
        yield (
            f"masks that hold {WHITE} and no 1: {alone} of {sum(masks.values())} ({share:.0f} %); "
            f"others hold the id 1, and {WHITE} is not counted: {settled}"
        )
    elif tally.pixels[ignored] >= _RARE * tally.pixels[one] > 0:
        yield (
            f"of the two classes' masks {tally.pixels[ignored]} pixels are {WHITE}, which is not "
            f"counted, and only {tally.pixels[one]} are 1: {settled}"
        )
