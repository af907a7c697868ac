"""Moves frames from a source through a segmenter to a consumer; the stages overlap in threads.

    capture -> prepare -> infer -> mask -> the consumer
    capture ---^

With a live source, each stage takes the newest frame: a newer frame replaces one that waits, and
dropped frames are counted. A file loses no frame and keeps its order. Each source has a thread that
captures, and all share the other stages, in turn. At most one frame waits between two stages, so no
frame grows old in a queue.

Where a device makes whole frames (`ways.py`), `infer` queues a frame there, and `mask` waits for
it. `infer` takes a frame when the one before the last is done: so two are under way, and the one
that joins them is the newest. Of several sources it takes them from `capture`, since a device needs
no stage that prepares, and several at once where the device does and as many wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Protocol, TypeVar

from edgeseg.errors import GivenUpError, SourceError
from edgeseg.progress import ignore
from edgeseg.runtime.channel import Channel, Ended, Turns
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.events import Event, Tell
from edgeseg.runtime.finish import PLAIN, Finish
from edgeseg.runtime.live.feed import Feed, Loss, Stream, give_young, limit_ages
from edgeseg.runtime.live.network import Choice, Network
from edgeseg.runtime.live.pace import FREE, Pace, SenderClock, Thinner
from edgeseg.runtime.live.reuse import EXACT, Reuse
from edgeseg.runtime.live.stages import Stages, Work
from edgeseg.runtime.live.tolerance import Tolerance
from edgeseg.runtime.result import Result
from edgeseg.runtime.sources import Source
from edgeseg.runtime.threads import start_thread
from edgeseg.runtime.timing import measure_since

__all__ = ["stream"]

A = TypeVar("A")
B = TypeVar("B")


@contextmanager
def stream(
    network: Network | Choice,
    *sources: Source,
    finish: Finish = PLAIN,
    reuse: Reuse = EXACT,
    pace: Pace = FREE,
    tells: Sequence[Tell] = (),
    drawings: Sequence[Drawing | None] = (),
    on_end: Callable[[int], None] = ignore,
) -> Iterator[Stream]:
    """Segment the sources' frames; while the block runs, each stage has a thread of its own.

    Frames of several sources are taken in turn, and a source that breaks off does not end the
    others. Of a `Choice`, each frame has the network that is picked when it is prepared; tiles have
    the first. `finish` says what is made of the engine's output. With tiles, the stage `infer`
    makes a frame's whole mask, window by window. `reuse` says which frames have the mask of an
    earlier one of the same source. `pace` says which frames are left out, and `tells` hear events.
    A device that makes whole frames draws what `drawings` says for each source.
    `on_end` hears, between two results, which source gave its last one while others go on.

    Raises, while iterating:
        SourceError: the only source broke off.
        BackendError: the engine failed on ten frames in a row, or its device is lost; or the system
            gives no thread.
    """
    only = len(sources) == 1
    changed = threading.Condition()
    captured = [Channel[Work | Ended](newest=source.live, changed=changed) for source in sources]
    # A newer frame of one source must not replace a waiting frame of another.
    ready = threading.Condition()
    prepared: Channel[Work | Ended] = Channel(newest=only and sources[0].live, changed=ready)
    inferred: Channel[Work | Ended] = Channel()
    masked: Channel[Result | Ended] = Channel()
    feeds = [
        Feed(channels=(one, prepared) if only else (one,), limit=limit)
        for one, limit in zip(captured, limit_ages(sources, pace, tells), strict=True)
    ]
    stages = Stages(network, feeds, finish, reuse, drawings)
    tolerant = Tolerance(feeds)

    joined = stages.on_device and not only
    wait = (inferred if joined else prepared).wait_for_room
    turns = Turns(captured, changed, wait=wait, on_error=partial(_note_loss, feeds, tells))
    if joined:
        middle = [_make_worker("infer", turns, _join(stages, tolerant, turns, wait), inferred)]
    else:
        queued = _take_in_time(prepared, ready, inferred) if stages.on_device else prepared
        infer = _each(tolerant.guard(stages.infer))
        middle = [
            _make_worker("prepare", turns, _each(stages.prepare), prepared),
            _make_worker("infer", queued, infer, inferred),
        ]
    last = _make_worker("mask", inferred, _each(tolerant.guard(stages.mask)), masked)
    threads = [*_capture_all(sources, pace, feeds, captured), *middle, last]
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
    prepared: Channel[Work | Ended], ready: threading.Condition, inferred: Channel[Work | Ended]
) -> Turns[Work | Ended]:
    """Take each frame when the one that it follows on the device has a place to go to."""

    def raise_error(_index: int, error: BaseException) -> None:
        raise error

    return Turns([prepared], ready, wait=inferred.wait_for_room, on_error=raise_error)


def _end(stages: Stages, sources: Sequence[Source], passages: Iterable[_Passage]) -> None:
    stages.ended.set()
    for source in sources:
        source.stop()
    for passage in passages:
        passage.close()


def _leave(
    sources: Sequence[Source], captured: Sequence[Channel[Work | Ended]], index: int
) -> None:
    """End one of the sources."""
    sources[index].stop()
    captured[index].close()


class _Passage(Protocol):
    """What frames pass through from one thread to the next."""

    def close(self) -> None: ...


def _capture_all(
    sources: Sequence[Source],
    pace: Pace,
    feeds: Sequence[Feed],
    captured: Sequence[Channel[Work | Ended]],
) -> list[threading.Thread]:
    """Make a thread for each source that captures its frames."""
    return [
        _make_worker("capture", _grab(one, i, pace, feeds[i]), _each(_pass_on), captured[i])
        for i, one in enumerate(sources)
    ]


def _join(
    stages: Stages, tolerant: Tolerance, turns: Turns[Work | Ended], wait: Callable[[], None]
) -> Callable[[Work], Iterator[Work]]:
    """Make what prepares and infers on a device: a frame, or several at once where so many wait."""
    infer = tolerant.guard(stages.infer)
    infer_together = tolerant.guard_all(stages.infer_together)

    def call(work: Work) -> Iterator[Work]:
        first = stages.prepare(work)
        if first is None:
            return
        works = [first, *_take_more(stages, turns, first)]
        together = infer_together(works) if len(works) > 1 else None
        if together is not None:
            yield from together
            return
        for one in works:
            wait()
            made = infer(one)
            if made is not None:
                yield made

    return call


def _take_more(stages: Stages, turns: Turns[Work | Ended], first: Work) -> list[Work]:
    """Take and prepare as many further frames as go together with one, if all are there."""
    batch = stages.find_batch(first)
    if batch is None:
        return []

    def fits(item: Work | Ended) -> bool:
        return isinstance(item, Work) and stages.may_join(first, item)

    more = turns.take_more(batch.frames - 1, fits=fits)
    made = [stages.prepare(one) for one in more if isinstance(one, Work)]
    return [one for one in made if one is not None]


def _pass_on(work: Work) -> Work:
    return work


def _each(call: Callable[[A], B | None]) -> Callable[[A], Iterator[B]]:
    """Make what gives the result of a call, if there is one."""

    def give(item: A) -> Iterator[B]:
        made = call(item)
        if made is not None:
            yield made

    return give


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


def _grab(source: Source, index: int, pace: Pace, feed: Feed) -> Iterator[Work]:
    thinner, clock = Thinner(pace.fps), SenderClock()
    begun = time.perf_counter()
    for captured in source.frames:
        if thinner.takes(clock.find_time(captured.time_s, captured.sent_s)):
            yield Work(captured=captured, feed=index, grab_ms=measure_since(begun))
        else:
            feed.skipped += 1
        begun = time.perf_counter()


def _make_worker(
    name: str,
    items: Iterable[A | Ended],
    call: Callable[[A], Iterable[B]],
    target: Channel[B | Ended],
) -> threading.Thread:
    """Make a thread that puts `call`'s results for each item into `target`, then ends `target`.

    What says that a source ended is passed on as it is, behind the source's last frame.
    """

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                made = (item,) if isinstance(item, Ended) else call(item)
                if not all(map(target.put, made)):
                    break
        except BaseException as caught:  # raised again in the consumer
            error = caught
        if isinstance(items, Channel | Turns):
            items.close()
        target.end(error)

    return threading.Thread(target=work, name=f"edgeseg {name}", daemon=True)
