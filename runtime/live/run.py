"""Feeds what a stream gives to sinks, until the sources end, a limit is reached, or Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edgeseg.errors import BackendError, SourceError
from edgeseg.progress import ignore
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.events import Tell
from edgeseg.runtime.finish import PLAIN, Finish
from edgeseg.runtime.live.feed import Feed, Loss, Stream
from edgeseg.runtime.live.network import Choice, Network
from edgeseg.runtime.live.pace import FREE, Pace
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.live.reuse import EXACT, Reuse
from edgeseg.runtime.live.tally import Summary, Tally
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.sink import Sink
from edgeseg.runtime.sources import Source
from edgeseg.runtime.sources.live.limit import stop_after
from edgeseg.runtime.timing import time_call
from edgeseg.text import join_reasons

__all__ = ["Fed", "Limits", "run", "run_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """A source, the sinks that receive its results, and who hears its events.

    A source that is not `wanted` any more, because its outputs failed, is left. `end` is called
    after the last result of a source that ends while others go on, and not where the run itself
    ends; it hears why the source was lost, or None. An engine's device that makes whole
    frames draws what `drawing` says.
    """

    source: Source
    sinks: Sequence[Sink] = ()
    tell: Tell = ignore
    drawing: Drawing | None = None
    wanted: Callable[[], bool] = lambda: True
    end: Callable[[Loss | None], None] = ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run ends by itself: after frames of all sources, or seconds; None is no limit."""

    frames: int | None = None
    seconds: float | None = None

    def are_reached(self, tally: Tally) -> bool:
        """Tell whether the run is over."""
        over = self.seconds is not None and tally.seconds >= self.seconds
        return over or tally.frames == self.frames


def run(
    network: Network | Choice,
    source: Source,
    sinks: Sequence[Sink],
    *,
    max_frames: int | None = None,
    max_seconds: float | None = None,
    finish: Finish = PLAIN,
    reuse: Reuse = EXACT,
    pace: Pace = FREE,
) -> Summary:
    """Feed every result of one source to every sink, as `run_all` does."""
    limits = Limits(frames=max_frames, seconds=max_seconds)
    feeds = [Fed(source=source, sinks=sinks)]
    whole, _ = run_all(network, feeds, limits=limits, finish=finish, reuse=reuse, pace=pace)
    return whole


def run_all(
    network: Network | Choice,
    feeds: Sequence[Fed],
    *,
    limits: Limits,
    on_frame: Callable[[Result], None] | None = None,
    stop: threading.Event | None = None,
    finish: Finish = PLAIN,
    reuse: Reuse = EXACT,
    pace: Pace = FREE,
) -> tuple[Summary, list[Summary]]:
    """Feed every result to its source's sinks until all sources end, a limit is reached or Ctrl-C.

    `stop` ends the run after the frame that is being written; the time limit sets it, too. A source
    that is lost for good ends alone; the only one ends the run, too. `finish`, `reuse` and `pace`
    are those of `stream`. Returns the summary of all, and that of each source.

    Raises:
        SourceError: the only source broke off, and is a file, or gave no frame before; or all did.
            Or no frame got a mask, because all waited too long.
        BackendError: the engine failed on every frame, or on ten in a row.
    """
    whole, parts = Tally(), [Tally() for _ in feeds]
    sources = [feed.source for feed in feeds]
    ending = stop or threading.Event()

    with (
        stop_after(limits.seconds, sources, ending),
        stream(
            network,
            *sources,
            finish=finish,
            reuse=reuse,
            pace=pace,
            tells=[feed.tell for feed in feeds],
            drawings=[feed.drawing for feed in feeds],
            on_end=lambda index: _end(feeds[index], results.feeds[index], ending),
        ) as results,
    ):
        try:
            for result, output_ms in _write_all(results, feeds):
                whole.add(result, output_ms=output_ms)
                parts[result.feed].add(result, output_ms=output_ms)
                if on_frame is not None:
                    on_frame(result)
                if limits.are_reached(whole) or ending.is_set():
                    break
        except KeyboardInterrupt:
            pass  # the usual way to end a camera; results are kept and summed up
        except SourceError as error:
            if not (sources[0].live and whole.frames):
                raise
            results.feeds[0].loss = Loss(str(error), told=False)
        _check(results, whole)
        summaries = [
            part.summarize(counts) for part, counts in zip(parts, results.feeds, strict=True)
        ]
        dropped = sum(part.dropped for part in summaries)  # a camera goes on dropping meanwhile
        return replace(whole.summarize(results), dropped=dropped), summaries


def _end(fed: Fed, counts: Feed, ending: threading.Event) -> None:
    """End the outputs of a source that ended, unless it did because the run ends."""
    if not ending.is_set():
        fed.end(counts.loss)


def _write_all(results: Stream, feeds: Sequence[Fed]) -> Iterator[tuple[Result, float]]:
    """Write each result, say how long that took, in milliseconds, and leave unwanted sources."""
    for result in results:
        feed = feeds[result.feed]
        if not feed.wanted():
            continue  # it was under way when the outputs failed
        _, output_ms = time_call(_write, result, feed.sinks)
        if not feed.wanted():
            results.leave(result.feed)
        yield result, output_ms


def _check(results: Stream, whole: Tally) -> None:
    """Check that a run without a mask has no reason that the user must know."""
    if whole.frames:
        return
    if results.failed:
        raise BackendError(
            f"no frame got a mask: {results.failed} failed, the last with: {results.last_failure}"
        )
    if results.lost is not None:
        raise SourceError(results.lost)
    old = join_reasons(feed.limit.explain() for feed in results.feeds if feed.limit.refused)
    if old:
        raise SourceError(f"no frame got a mask: {old}")


def _write(result: Result, sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        sink.write(result)
