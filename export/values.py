"""Reads single values from files, of which nothing is sure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from edgeseg.errors import CheckpointError

__all__ = ["excuse", "read_finite"]

T = TypeVar("T")


def excuse(read: Callable[[], T], *, given: object) -> T | None:
    """Read a fact; None where its value is refused and the user has `given` another.

    Raises:
        CheckpointError: the value is refused, and the user has given none.
    """
    try:
        return read()
    except CheckpointError:
        if given is None:
            raise
        return None


def read_finite(value: object) -> float | None:
    """Read a finite number from a file's value; None where the value is anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond float's range
        return None
    return number if math.isfinite(number) else None
