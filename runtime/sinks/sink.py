"""The interface between the pipeline and an output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edgeseg.runtime.result import Result

__all__ = ["Sink"]


class Sink(Protocol):
    """Takes results in order: call `write` for each, then `finish` or `discard` once."""

    def write(self, result: Result, /) -> None:
        """Take one frame and its mask, of the same height and width.

        Raises:
            SinkError: the disk is full, or this frame does not fit the output. The frames written
                before are still good: `finish` keeps them, `discard` removes them.
        """

    def finish(self) -> Path | Sequence[Path] | None:
        """Complete the output, give it its final name, and return that name, if it has one.

        An output of several files returns the names of all of them.

        Raises:
            SinkError: this fails. The temporary file stays until `discard`.
        """

    def discard(self) -> None:
        """Remove all that was written. Never raises."""
