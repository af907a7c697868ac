"""What a stream gives and counts: its results in order, and figures of each of its sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edgeseg.progress import ignore
from edgeseg.runtime.channel import Ended
from edgeseg.runtime.events import Tell
from edgeseg.runtime.live.pace import AgeLimit, Pace
from edgeseg.runtime.result import Result
from edgeseg.runtime.sources import Source
from edgeseg.text import join_reasons

__all__ = ["Dropping", "Feed", "Loss", "Stream", "give_young", "limit_ages"]


class Dropping(Protocol):
    """What replaces waiting frames by newer ones."""

    @property
    def dropped(self) -> int:
        """How many frames were replaced."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a source ended by itself, and whether an event has told of it."""

    reason: str
    told: bool


@dataclass
class Feed:
    """What a stream counts of one of its sources; up to date at any time.

    `skipped` counts frames that the pace leaves out. `failed` counts frames for which the engine
    gave no mask, `last_failure` is the reason for the last one. `loss` is there where the source
    ended by itself.
    """

    channels: Sequence[Dropping] = ()
    limit: AgeLimit = field(default_factory=AgeLimit)
    skipped: int = 0
    failed: int = 0
    last_failure: str | None = None
    loss: Loss | None = None

    @property
    def lost(self) -> str | None:
        """Why the source ended by itself; None where it did not."""
        return None if self.loss is None else self.loss.reason

    @property
    def dropped(self) -> int:
        """How many frames of a live source were replaced by newer ones, or waited too long."""
        return sum(channel.dropped for channel in self.channels) + self.limit.refused


@dataclass(frozen=True)
class Stream:
    """Results in order, with what is counted of each source; iterate once.

    `leave` ends a source, by its index: nobody wants more of its frames.
    """

    results: Iterator[Result]
    feeds: Sequence[Feed]
    leave: Callable[[int], None]

    @property
    def dropped(self) -> int:
        """How many frames of live sources were replaced by newer ones, or waited too long."""
        return sum(feed.dropped for feed in self.feeds)

    @property
    def skipped(self) -> int:
        """How many frames the pace left out."""
        return sum(feed.skipped for feed in self.feeds)

    @property
    def failed(self) -> int:
        """For how many frames the engine gave no mask."""
        return sum(feed.failed for feed in self.feeds)

    @property
    def last_failure(self) -> str | None:
        """Why the engine gave no mask for a frame."""
        return next((feed.last_failure for feed in self.feeds if feed.last_failure), None)

    @property
    def lost(self) -> str | None:
        """Why sources ended by themselves; None where none did."""
        return join_reasons(feed.lost for feed in self.feeds if feed.lost) or None

    def __iter__(self) -> Iterator[Result]:
        """Give the results; `stream` says which errors end them."""
        return self.results


def limit_ages(sources: Sequence[Source], pace: Pace, tells: Sequence[Tell]) -> list[AgeLimit]:
    """Limit the ages of live frames; those of a file wait as long as they must."""
    return [
        AgeLimit(pace.max_age_ms if source.live else None, name=source.name, tell=tell)
        for source, tell in zip(sources, tells or [ignore] * len(sources), strict=True)
    ]


def give_young(
    results: Iterable[Result | Ended], feeds: Sequence[Feed], on_end: Callable[[int], None]
) -> Iterator[Result]:
    """Give the results that did not wait too long, as for a slow output; tell `on_end` of ends."""
    for result in results:
        if isinstance(result, Ended):
            on_end(result.index)
            continue
        limit = feeds[result.feed].limit
        if not limit.refuses(result.captured.at, spent_ms=result.segmentation.latency_ms):
            limit.note_result()
            yield result
