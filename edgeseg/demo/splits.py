"""Assigns drives to splits. No seed is in two splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["DEMO_SPLITS", "LIVE_SEED", "SIDE", "DemoSplit"]

# Scenes are this many pixels high and wide: the size that the demo model is trained at.
SIDE: Final = 512

# The drive that `--source demo` shows; it is in no split.
LIVE_SEED: Final = 5_000_000

# Frames of one drive this far apart show different parts of the street.
_FRAMES_APART: Final = 37


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSplit:
    """The drives `first`, `first + 1` and so on, with one frame of each: `size` frames in all."""

    first: int
    size: int

    def frames(self, count: int | None = None) -> list[tuple[int, int]]:
        """List the (seed, frame) pairs of `size` frames, or of the first `count`."""
        wanted = self.size if count is None else count
        return [(self.first + index, _FRAMES_APART * index % 2000) for index in range(wanted)]


DEMO_SPLITS: Final[Mapping[str, DemoSplit]] = MappingProxyType(
    {
        "train": DemoSplit(first=1_000_000, size=1500),
        "calibration": DemoSplit(first=2_000_000, size=300),
        "val": DemoSplit(first=3_000_000, size=100),
        "test": DemoSplit(first=4_000_000, size=100),
    }
)
