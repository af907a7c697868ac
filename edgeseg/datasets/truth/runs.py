"""Masks as run lengths: how many pixels in turn are outside a shape, and inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["fill_runs", "unpack_counts"]

# A character of COCO's text holds five bits of a number; a sixth says that more of them follow.
_BITS: Final = 5
_VALUE: Final = 31
_MORE: Final = 32
_NEGATIVE: Final = 16
_FIRST: Final = 48
_MOST_CHARACTERS: Final = 7  # of one number

_Counts = npt.NDArray[np.int64]


def unpack_counts(text: str) -> _Counts:
    """Read run lengths from COCO's compressed text.

    From the fourth number on, a number is the difference from the one two places before.

    Raises:
        ValueError: the text is no list of numbers.
    """
    codes = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - _FIRST
    ends = (codes & _MORE) == 0
    if not len(codes) or codes.min() < 0 or codes.max() > (_VALUE | _MORE) or not ends[-1]:
        raise ValueError("has a damaged text of run lengths")
    lasts = np.flatnonzero(ends)
    starts = np.concatenate([[0], lasts[:-1] + 1])
    lengths = lasts - starts + 1
    if lengths.max() > _MOST_CHARACTERS:
        raise ValueError("has a damaged text of run lengths")
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((codes & _VALUE) << (_BITS * places), starts)
    negative = (codes[lasts] & _NEGATIVE) != 0
    numbers -= np.where(negative, 1 << (_BITS * lengths), 0)
    for first in (1, 2):
        numbers[first::2] = np.cumsum(numbers[first::2])
    return numbers


def fill_runs(counts: Sequence[int] | _Counts, pixels: int) -> npt.NDArray[np.bool_]:
    """Make a flat mask, (pixels,), of run lengths; the first is of pixels outside.

    Raises:
        ValueError: the runs have another number of pixels.
    """
    lengths = np.asarray(counts, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or (lengths > pixels).any():
        raise ValueError("has run lengths that no mask has")
    if lengths.sum() != pixels:
        raise ValueError(f"has runs of {lengths.sum()} pixels, and there are {pixels}")
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths)
