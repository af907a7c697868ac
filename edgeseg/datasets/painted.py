"""Recognizes masks of two classes that are painted black and white: the ids 0 and 255."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from edgeseg.datasets.items import Item
from edgeseg.errors import DatasetError, SourceError
from edgeseg.pixels import find_ids

__all__ = ["BLACK", "WHITE", "are_painted"]

BLACK: Final = 0
WHITE: Final = 255
_ENOUGH: Final = 16  # masks with white; the others are checked as they are measured


def are_painted(items: Sequence[Item]) -> bool:
    """Tell whether the masks hold both `BLACK` and `WHITE`, and no other ids.

    Masks are read until one holds the id 1, or until enough of them hold white. A mask that cannot
    be read, or that holds ids of no class, is skipped. The answer depends only on the files and on
    the order of the items.
    """
    seen: set[int] = set()
    white = 0
    for ids in _read_ids(items):
        if ids - {BLACK, 1, WHITE}:
            continue
        if 1 in ids:
            return False
        seen |= ids
        white += WHITE in ids
        if white >= _ENOUGH and BLACK in seen:
            return True
    return seen == {BLACK, WHITE}


def _read_ids(items: Sequence[Item]) -> Iterator[set[int]]:
    """Read the ids in each mask's file: first of masks at equal distances, then of the others."""
    step = max(1, -(-len(items) // _ENOUGH))
    for start in range(step):
        for item in items[start::step]:
            if item.truth is None or not item.truth.is_verbatim:
                continue
            try:
                yield set(find_ids(item.truth.read().mask))
            except (SourceError, DatasetError):
                continue
