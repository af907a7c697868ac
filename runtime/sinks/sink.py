"""The seam between the pipeline and an output."""

from __future__ import annotations

from typing import Protocol

from edgeseg.pixels import ClassMap
from edgeseg.runtime.sources import Captured

__all__ = ["Sink"]


class Sink(Protocol):
    """Takes results in order. Used as: write ... write, then `finish` or `discard`, once."""

    def write(self, captured: Captured, mask: ClassMap, /) -> None:
        """Take one frame and its mask, of the same height and width.

        Raises:
            SinkError: the disk is full, or this frame does not fit the output.
        """

    def finish(self) -> None:
        """Make the output whole and give it its final name.

        Raises:
            SinkError: that cannot be done; nothing is left under the final name.
        """

    def discard(self) -> None:
        """Remove what was written."""
