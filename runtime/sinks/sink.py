"""The seam between the pipeline and an output."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from edgeseg.runtime.result import Result

__all__ = ["Sink"]


class Sink(Protocol):
    """Takes results in order. Used as: write ... write, then `finish` or `discard`, once."""

    def write(self, result: Result, /) -> None:
        """Take one frame and its mask, of the same height and width.

        Raises:
            SinkError: the disk is full, or this frame does not fit the output. What was written
                before is still good: `finish` keeps it, `discard` removes it.
        """

    def finish(self) -> Path | None:
        """Make the output whole and give it its final name, which is returned, if it has one.

        Raises:
            SinkError: that cannot be done. What there is stays beside it until `discard`.
        """

    def discard(self) -> None:
        """Remove what was written. Never raises."""
