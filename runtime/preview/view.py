"""What the preview shows of one source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeseg.runtime.preview.board import Board
from edgeseg.runtime.preview.metrics import Figures
from edgeseg.runtime.preview.newest import Encoder, Newest

if TYPE_CHECKING:
    from edgeseg.runtime.about import About

__all__ = ["View"]


class View:
    """A source, its newest result and figures, and what makes pictures of it.

    `newest` gives the newest result to viewers that wait; it belongs to the server's event loop.
    `encoder` makes the pictures, in a thread of its own.
    """

    def __init__(self, about: About) -> None:
        self.about = about
        self.board = Board()
        self.newest = Newest(self.board)
        self.encoder = Encoder(about.legend)

    @property
    def texts(self) -> dict[str, str]:
        """What runs, for people."""
        about = self.about
        return {
            "bundle": about.bundle,
            "engine": about.engine,
            "precision": about.precision,
            "source": about.source,
        }

    async def compute_shares(self) -> Mapping[str, float]:
        """Compute each class's share of the newest mask; empty before the first."""
        newest = self.board.newest
        if newest is None:
            return {}
        made = newest.segmentation
        return await self.encoder.run(lambda: self.about.legend.compute_shares(made))

    async def compute_figures(self) -> Figures:
        """Compute the source's figures at this moment."""
        return Figures(
            name=self.about.name,
            about=self.texts,
            stats=self.board.compute_stats(),
            shares=await self.compute_shares(),
            events=self.about.events.counts,
        )
