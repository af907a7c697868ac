"""Moves frames from a source through a segmenter to a consumer; the stages overlap in threads.

    capture -> prepare -> infer -> mask -> the consumer
    capture ---^

With a live source, each stage takes the newest frame: a newer frame replaces one that waits, and
dropped frames are counted. A file loses no frame and keeps its order. Each source has a thread that
captures, and all share the other stages, in turn. At most one frame waits between two stages, so no
frame grows old in a queue.

Where a device makes whole frames (`ways.py`), `infer` queues a frame there, and `mask` waits for
it. `infer` takes a frame when the one before the last is done: so two are under way, and the one
that joins them is the newest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol, TypeVar

from edgeseg.errors import BackendError, DeviceLostError, GivenUpError, SourceError
from edgeseg.progress import ignore
from edgeseg.runtime.channel import Channel, Ended, Turns
from edgeseg.runtime.events import Event, Tell
from edgeseg.runtime.finish import PLAIN, Finish
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.live.feed import Feed, Loss, Stream, give_young, limit_ages
from edgeseg.runtime.live.network import Choice, Network, list_networks, make_pick
from edgeseg.runtime.live.pace import FREE, Pace, SenderClock, Thinner
from edgeseg.runtime.live.reuse import EXACT, Reuse
from edgeseg.runtime.live.ways import Inferred, Prepared, explain_host, make_way
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.sources import Captured, Source
from edgeseg.runtime.threads import start_thread
from edgeseg.runtime.tiling import segment_tiled
from edgeseg.runtime.timing import measure_since

__all__ = ["stream"]

# A frame is skipped where the engine fails on it; this many failures in a row end the run.
FAILURES_IN_A_ROW: Final = 10

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A frame of a feed in the pipeline, with the results of the stages so far."""

    captured: Captured
    feed: int
    grab_ms: float
    network: int = 0
    prepared: Prepared | None = None
    inferred: Inferred | None = None
    tiled: Segmentation | None = None


@contextmanager
def stream(
    network: Network | Choice,
    *sources: Source,
    finish: Finish = PLAIN,
    reuse: Reuse = EXACT,
    pace: Pace = FREE,
    tells: Sequence[Tell] = (),
    overlays: Sequence[Legend | None] = (),
    on_end: Callable[[int], None] = ignore,
) -> Iterator[Stream]:
    """Segment the sources' frames; while the block runs, each stage has a thread of its own.

    Frames of several sources are taken in turn, and a source that breaks off does not end the
    others. Of a `Choice`, each frame has the network that is picked when it is prepared; tiles have
    the first. `finish` says what is made of the engine's output. With tiles, the stage `infer`
    makes a frame's whole mask, window by window. `reuse` says which frames have the mask of an
    earlier one of the same source. `pace` says which frames are left out, and `tells` hear events.
    A device that makes whole frames draws them in the colors of a source's legend in `overlays`.
    `on_end` hears, between two results, which source gave its last one while others go on.

    Raises, while iterating:
        SourceError: the only source broke off.
        BackendError: the engine failed on ten frames in a row, or its device is lost; or the system
            gives no thread.
    """
    only = len(sources) == 1
    changed = threading.Condition()
    captured = [Channel[_Work | Ended](newest=source.live, changed=changed) for source in sources]
    # A newer frame of one source must not replace a waiting frame of another.
    ready = threading.Condition()
    prepared: Channel[_Work | Ended] = Channel(newest=only and sources[0].live, changed=ready)
    inferred: Channel[_Work | Ended] = Channel()
    masked: Channel[Result | Ended] = Channel()
    feeds = [
        Feed(channels=(one, prepared) if only else (one,), limit=limit)
        for one, limit in zip(captured, limit_ages(sources, pace, tells), strict=True)
    ]
    stages = _Stages(network, feeds, finish, reuse, overlays)
    tolerant = _Tolerance(feeds)

    on_error = partial(_note_loss, feeds, tells)
    turns = Turns(captured, changed, wait=prepared.wait_for_room, on_error=on_error)
    infer = tolerant.guard(stages.infer_tiles if finish.tile else stages.infer)
    queued = _take_in_time(prepared, ready, inferred) if stages.on_device else prepared
    threads = [
        *(
            _make_worker("capture", _grab(one, i, pace, feeds[i]), _pass_on, captured[i])
            for i, one in enumerate(sources)
        ),
        _make_worker("prepare", turns, _pass_on if finish.tile else stages.prepare, prepared),
        _make_worker("infer", queued, infer, inferred),
        _make_worker("mask", inferred, tolerant.guard(stages.mask), masked),
    ]

    end = partial(_end, stages, sources, (masked, inferred, prepared, turns))
    leave = partial(_leave, sources, captured)
    with closing(stages), _run_threads(threads, end):
        yield Stream(results=give_young(masked, feeds, on_end), feeds=feeds, leave=leave)


def _note_loss(
    feeds: Sequence[Feed], tells: Sequence[Tell], index: int, error: BaseException
) -> None:
    """Note why one of several sources broke off; raise the error of the only one.

    One that is given up was told as lost before, or never gave a frame.
    """
    if len(feeds) == 1 or not isinstance(error, SourceError):
        raise error
    told = bool(tells) and not isinstance(error, GivenUpError)
    feeds[index].loss = Loss(str(error), told=told)
    if told:
        tells[index](Event(kind="lost", text=str(error)))


def _take_in_time(
    prepared: Channel[_Work | Ended], ready: threading.Condition, inferred: Channel[_Work | Ended]
) -> Turns[_Work | Ended]:
    """Take each frame when the one that it follows on the device has a place to go to."""

    def raise_error(_index: int, error: BaseException) -> None:
        raise error

    return Turns([prepared], ready, wait=inferred.wait_for_room, on_error=raise_error)


def _end(stages: _Stages, sources: Sequence[Source], passages: Iterable[_Passage]) -> None:
    stages.ended.set()
    for source in sources:
        source.stop()
    for passage in passages:
        passage.close()


def _leave(
    sources: Sequence[Source], captured: Sequence[Channel[_Work | Ended]], index: int
) -> None:
    """End one of the sources."""
    sources[index].stop()
    captured[index].close()


class _Passage(Protocol):
    """What frames pass through from one thread to the next."""

    def close(self) -> None: ...


class _Stages:
    """What is done with a frame, stage by stage."""

    def __init__(
        self,
        network: Network | Choice,
        feeds: Sequence[Feed],
        finish: Finish,
        reuse: Reuse,
        overlays: Sequence[Legend | None],
    ) -> None:
        self._networks = list_networks(network)
        self._pick = make_pick(network)
        self._finish = finish
        self._feeds = feeds
        self.on_device = explain_host(finish, reuse) is None and any(
            one.path is not None for one in self._networks
        )
        # Each network has outputs of its own, which no other one's frame may reuse.
        self._ways = [
            [make_way(one, finish, reuse, overlay) for one in self._networks]
            for overlay in overlays or [None] * len(feeds)
        ]
        self.ended = threading.Event()

    def close(self) -> None:
        for ways in self._ways:
            for way in ways:
                way.close()

    def prepare(self, work: _Work) -> _Work | None:
        if self._is_old(work):
            return None
        network = self._pick()
        prepared = self._ways[work.feed][network].prepare(work.captured)
        return replace(work, network=network, prepared=prepared)

    def infer(self, work: _Work) -> _Work | None:
        if self._is_old(work):
            return None
        assert work.prepared is not None, "it was just prepared"
        return replace(work, prepared=None, inferred=work.prepared.infer())

    def infer_tiles(self, work: _Work) -> _Work | None:
        if self._is_old(work):
            return None
        tiled = segment_tiled(
            self._networks[0].backend,
            self._networks[0].input,
            work.captured.image,
            self._finish,
            stopped=self.ended.is_set,
        )
        return replace(work, tiled=tiled)

    def mask(self, work: _Work) -> Result:
        return Result(
            captured=work.captured,
            segmentation=work.tiled or _finish(work.inferred),
            grab_ms=work.grab_ms,
            feed=work.feed,
            network=work.network,
            reused=work.inferred is not None and work.inferred.reused,
            dropped=self._feeds[work.feed].dropped,
            skipped=self._feeds[work.feed].skipped,
            failed=self._feeds[work.feed].failed,
        )

    def _is_old(self, work: _Work) -> bool:
        return self._feeds[work.feed].limit.refuses(work.captured.at)


def _finish(inferred: Inferred | None) -> Segmentation:
    assert inferred is not None, "it was just inferred"
    return inferred.finish()


def _pass_on(work: _Work) -> _Work:
    return work


@contextmanager
def _run_threads(threads: Sequence[threading.Thread], end: Callable[[], None]) -> Iterator[None]:
    """Start the threads; after the block, call `end` and wait for every started thread."""
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            start_thread(thread)
            started.append(thread)
        yield
    finally:
        end()
        for thread in started:
            thread.join()


class _Tolerance:
    """Skips and counts frames on which the engine fails; too many in a row end the stream."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = feeds
        self._in_a_row = 0
        self._lock = threading.Lock()

    def guard(self, call: Callable[[_Work], B]) -> Callable[[_Work], B | None]:
        """Wrap `call` so that it returns None where it fails."""

        def call_or_count(work: _Work) -> B | None:
            try:
                made = call(work)
            except DeviceLostError:
                raise  # no frame can follow
            except BackendError as error:
                with self._lock:
                    self._feeds[work.feed].failed += 1
                    self._feeds[work.feed].last_failure = str(error)
                    self._in_a_row += 1
                    if self._in_a_row >= FAILURES_IN_A_ROW:
                        raise BackendError(
                            f"{self._in_a_row} frames in a row failed, the last with: {error}"
                        ) from error
                return None
            if isinstance(made, Result):
                with self._lock:
                    self._in_a_row = 0
            return made

        return call_or_count


def _grab(source: Source, index: int, pace: Pace, feed: Feed) -> Iterator[_Work]:
    thinner, clock = Thinner(pace.fps), SenderClock()
    begun = time.perf_counter()
    for captured in source.frames:
        if thinner.takes(clock.find_time(captured.time_s, captured.sent_s)):
            yield _Work(captured=captured, feed=index, grab_ms=measure_since(begun))
        else:
            feed.skipped += 1
        begun = time.perf_counter()


def _make_worker(
    name: str,
    items: Iterable[A | Ended],
    call: Callable[[A], B | None],
    target: Channel[B | Ended],
) -> threading.Thread:
    """Make a thread that puts `call`'s result for each item into `target`, then ends `target`.

    What says that a source ended is passed on as it is, behind the source's last frame.
    """

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                made = item if isinstance(item, Ended) else call(item)
                if made is not None and not target.put(made):
                    break
        except BaseException as caught:  # raised again in the consumer
            error = caught
        if isinstance(items, Channel | Turns):
            items.close()
        target.end(error)

    return threading.Thread(target=work, name=f"edgeseg {name}", daemon=True)
