"""What the preview shows of one source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from edgeseg.runtime.preview.board import Board, Stats
from edgeseg.runtime.preview.metrics import Figures
from edgeseg.runtime.preview.newest import Encoder, Newest

if TYPE_CHECKING:
    from edgeseg.runtime.about import About

__all__ = ["State", "View"]

# waiting: for the first frame. late: no frame came for a while. retrying: the source is lost, and
# opened again. lost: for good. ended: as a file does.
State: TypeAlias = Literal["waiting", "live", "late", "retrying", "lost", "ended"]

_LATE_S: Final = 2.0


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

    @property
    def is_over(self) -> bool:
        """Whether no more results come."""
        return self.newest.ended

    @property
    def state(self) -> State:
        """Whether the source gives frames now, and if not, why."""
        lost, newest_s = self.about.events.lost, self.board.newest_s
        if self.is_over:
            return "lost" if lost else "ended"
        if lost:
            return "retrying"
        if newest_s is None:
            return "waiting"
        return "late" if newest_s > _LATE_S else "live"

    def describe_state(self) -> str:
        """Say the state as people read it."""
        newest_s, state = self.board.newest_s, self.state
        if state == "waiting":
            return "waiting for the first frame"
        if state == "retrying":
            return "no frame yet, trying again" if newest_s is None else "lost, trying again"
        return f"no new frame for {newest_s or 0:.0f} s" if state == "late" else state

    def compute_stats(self) -> Stats:
        """Compute the source's figures at this moment; rates only where it is not lost or over."""
        stats, state = self.board.compute_stats(), self.state
        if state == "ended":  # nobody waits for a newer frame
            return replace(stats.without_rates(), newest_s=None)
        return stats.without_rates() if state in {"retrying", "lost"} else stats

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
            stats=self.compute_stats(),
            shares=await self.compute_shares(),
            events=self.about.events.counts,
        )
