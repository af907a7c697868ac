"""Moves frames from a source through a segmenter to a consumer; the stages overlap in threads.

    capture -> prepare -> infer -> mask -> the consumer
    capture ---^

With a live source, each stage takes the newest frame: a newer frame replaces one that waits, and
dropped frames are counted. A file loses no frame and keeps its order. Each source has a thread that
captures, and all share the other stages, in turn. At most one frame waits between two stages, so no
frame grows old in a queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from edgeseg.errors import BackendError, SourceError
from edgeseg.pixels import Frame, Output, to_input
from edgeseg.progress import ignore
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.channel import Channel, Ended, Turns
from edgeseg.runtime.events import Event, Tell
from edgeseg.runtime.finish import PLAIN, Finish
from edgeseg.runtime.live.feed import Feed, Stream, give_young, limit_ages
from edgeseg.runtime.live.network import Choice, Network, list_networks, make_pick
from edgeseg.runtime.live.pace import FREE, Pace, Thinner
from edgeseg.runtime.live.reuse import EXACT, LastMask, Reuse, Reuser
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.sources import Captured, Source
from edgeseg.runtime.threads import start_thread
from edgeseg.runtime.tiling import segment_tiled
from edgeseg.runtime.timing import measure_since, time_call

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
    network_input: Frame | None = None
    output: Output | None = None
    reused: bool = False
    tiled: Segmentation | None = None
    prepare_ms: float = 0.0
    infer_ms: float = 0.0


@contextmanager
def stream(
    network: Network | Choice,
    *sources: Source,
    finish: Finish = PLAIN,
    reuse: Reuse = EXACT,
    pace: Pace = FREE,
    tells: Sequence[Tell] = (),
    on_end: Callable[[int], None] = ignore,
) -> Iterator[Stream]:
    """Segment the sources' frames; while the block runs, each stage has a thread of its own.

    Frames of several sources are taken in turn, and a source that breaks off does not end the
    others. Of a `Choice`, each frame has the network that is picked when it is prepared; tiles have
    the first. `finish` says what is made of the engine's output. With tiles, the stage `infer`
    makes a frame's whole mask, window by window. `reuse` says which frames have the mask of an
    earlier one of the same source. `pace` says which frames are left out, and `tells` hear events.
    `on_end` hears, between two results, which source gave its last one while others go on.

    Raises, while iterating:
        SourceError: the only source broke off.
        BackendError: the engine failed on ten frames in a row, or the system gives no thread.
    """
    only = len(sources) == 1
    changed = threading.Condition()
    captured = [Channel[_Work | Ended](newest=source.live, changed=changed) for source in sources]
    # A newer frame of one source must not replace a waiting frame of another.
    prepared: Channel[_Work | Ended] = Channel(newest=only and sources[0].live)
    inferred: Channel[_Work | Ended] = Channel()
    masked: Channel[Result | Ended] = Channel()
    feeds = [
        Feed(channels=(channel, prepared) if only else (channel,), limit=limit)
        for channel, limit in zip(captured, limit_ages(sources, pace, tells), strict=True)
    ]
    stages = _Stages(network, feeds, finish, reuse)
    tolerant = _Tolerance(feeds)

    on_error = partial(_note_loss, feeds, tells)
    turns = Turns(captured, changed, wait=prepared.wait_for_room, on_error=on_error)
    infer = tolerant.guard(stages.infer_tiles if finish.tile else stages.infer)
    grabs = [_grab(source, i, pace, feeds[i]) for i, source in enumerate(sources)]
    threads = [
        *(
            _make_worker("capture", grab, _pass_on, channel)
            for grab, channel in zip(grabs, captured, strict=True)
        ),
        _make_worker("prepare", turns, _pass_on if finish.tile else stages.prepare, prepared),
        _make_worker("infer", prepared, infer, inferred),
        _make_worker("mask", inferred, tolerant.guard(stages.mask), masked),
    ]

    def end() -> None:
        stages.ended.set()
        for source in sources:
            source.stop()
        for passage in (masked, inferred, prepared, turns):
            passage.close()

    leave = partial(_leave, sources, captured)
    with _run_threads(threads, end):
        yield Stream(results=give_young(masked, feeds, on_end), feeds=feeds, leave=leave)


def _note_loss(
    feeds: Sequence[Feed], tells: Sequence[Tell], index: int, error: BaseException
) -> None:
    """Note why one of several sources broke off; raise the error of the only one."""
    if len(feeds) == 1 or not isinstance(error, SourceError):
        raise error
    feeds[index].lost = str(error)
    if tells:
        tells[index](Event(kind="lost", text=f"{error}; the run goes on without it"))


def _leave(
    sources: Sequence[Source], captured: Sequence[Channel[_Work | Ended]], index: int
) -> None:
    """End one of the sources."""
    sources[index].stop()
    captured[index].close()


class _Stages:
    """What is done with a frame, stage by stage."""

    def __init__(
        self, network: Network | Choice, feeds: Sequence[Feed], finish: Finish, reuse: Reuse
    ) -> None:
        self._networks = list_networks(network)
        self._pick = make_pick(network)
        self._finish = finish
        self._feeds = feeds
        # Each network has outputs of its own, which no other one's frame may reuse.
        self._reusers = [
            [Reuser(reuse, partial(_infer, one.backend)) for one in self._networks] for _ in feeds
        ]
        self._last_masks = [LastMask(finish) for _ in feeds]
        self.ended = threading.Event()

    def prepare(self, work: _Work) -> _Work | None:
        if self._is_old(work):
            return None
        network = self._pick()
        spec = self._networks[network].input
        network_input, prepare_ms = time_call(to_input, work.captured.image, spec)
        return replace(work, network=network, network_input=network_input, prepare_ms=prepare_ms)

    def infer(self, work: _Work) -> _Work | None:
        if self._is_old(work):
            return None
        assert work.network_input is not None, "it was just prepared"
        find_output = self._reusers[work.feed][work.network].find_output
        (output, reused), infer_ms = time_call(find_output, work.network_input, work.captured)
        return replace(work, network_input=None, output=output, reused=reused, infer_ms=infer_ms)

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
            segmentation=work.tiled or self._make_mask(work),
            grab_ms=work.grab_ms,
            feed=work.feed,
            network=work.network,
            reused=work.reused,
            dropped=self._feeds[work.feed].dropped,
            skipped=self._feeds[work.feed].skipped,
            failed=self._feeds[work.feed].failed,
        )

    def _is_old(self, work: _Work) -> bool:
        return self._feeds[work.feed].limit.refuses(work.captured.at)

    def _make_mask(self, work: _Work) -> Segmentation:
        assert work.output is not None, "it was just inferred"
        find, spec = self._last_masks[work.feed].find, self._networks[work.network].input
        (mask, scores), mask_ms = time_call(find, work.output, spec, work.captured.image)
        return Segmentation(
            mask=mask,
            scores=scores,
            prepare_ms=work.prepare_ms,
            infer_ms=work.infer_ms,
            mask_ms=mask_ms,
        )


def _pass_on(work: _Work) -> _Work:
    return work


def _infer(backend: Backend, network_input: Frame) -> Output:
    """Run the engine; copy an output that the next frame's inference would overwrite."""
    output = backend.infer(network_input)
    return output.copy() if backend.reuses_output else output


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
    thinner = Thinner(pace.fps)
    begun = time.perf_counter()
    for captured in source.frames:
        if thinner.takes(captured.time_s):
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
