"""From a source through a segmenter to whoever consumes results: the stages overlap in threads.

    capture -> prepare -> infer -> mask -> the consumer

Of a live source each stage takes the newest frame there is: what waits is dropped for what is
newer, and counted. A file loses nothing and keeps its order. Between two stages lies one frame,
so that no frame grows old in a queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np

from edgeseg.errors import BackendError
from edgeseg.pixels import ClassMap, Frame, Output, to_input
from edgeseg.runtime.channel import Channel
from edgeseg.runtime.segmenter import Segmentation, Segmenter, mask_of
from edgeseg.runtime.sinks.sink import Sink
from edgeseg.runtime.sources import Captured, Source

__all__ = ["STAGES", "Percentiles", "Result", "Stream", "Summary", "run", "stream"]

STAGES: Final = ("grab", "prepare", "infer", "mask", "output")
# A frame that the engine fails on is skipped; so many in a row are no accident.
FAILURES_IN_A_ROW: Final = 10

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A frame, its mask, and how long it took to get it."""

    captured: Captured
    segmentation: Segmentation
    grab_ms: float

    @property
    def mask(self) -> ClassMap:
        """Class ids at the frame's own size."""
        return self.segmentation.mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Of a duration, in milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did. Durations are milliseconds a frame; `stages_ms` are medians.

    `frame_age_ms` is from capture to the end of output; `failed` frames are those that the engine
    gave no mask for.
    """

    frames: int
    fps: float
    latency_ms: Percentiles
    frame_age_ms: Percentiles
    dropped: int
    failed: int
    stages_ms: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A frame on its way, with what the stages have made of it so far."""

    captured: Captured
    grab_ms: float
    network_input: Frame | None = None
    output: Output | None = None
    prepare_ms: float = 0.0
    infer_ms: float = 0.0


@dataclass
class Stream:
    """Results in order; iterate once. `dropped` and `failed` count while it runs."""

    results: Iterator[Result]
    _channels: Sequence[Channel[_Work]] = ()
    failed: int = 0

    @property
    def dropped(self) -> int:
        """Frames of a live source that a newer one took the place of."""
        return sum(channel.dropped for channel in self._channels)

    def __iter__(self) -> Iterator[Result]:
        """See `stream`."""
        return self.results


@contextmanager
def stream(segmenter: Segmenter, source: Source) -> Iterator[Stream]:
    """Segment a source's frames, the stages in threads of their own while the block runs.

    Raises, while walking:
        SourceError: the source broke off.
        BackendError: the engine failed on ten frames in a row.
    """
    newest = source.live
    captured: Channel[_Work] = Channel(newest=newest)
    prepared: Channel[_Work] = Channel(newest=newest)
    inferred: Channel[_Work] = Channel()
    masked: Channel[Result] = Channel()
    opened = Stream(results=iter(masked), _channels=(captured, prepared))
    spec = segmenter.bundle.manifest.input

    def prepare(work: _Work) -> _Work:
        begun = time.perf_counter()
        network_input = to_input(work.captured.image, spec)
        return replace(work, network_input=network_input, prepare_ms=_since(begun))

    def infer(work: _Work) -> _Work:
        assert work.network_input is not None, "it was just prepared"
        begun = time.perf_counter()
        output = segmenter.backend.infer(work.network_input)
        if segmenter.backend.reuses_output:
            output = output.copy()  # the next frame is inferred while this one's mask is made
        return replace(work, network_input=None, output=output, infer_ms=_since(begun))

    def mask(work: _Work) -> Result:
        assert work.output is not None, "it was just inferred"
        begun = time.perf_counter()
        found = mask_of(work.output, spec, work.captured.image)
        part = Segmentation(
            mask=found, prepare_ms=work.prepare_ms, infer_ms=work.infer_ms, mask_ms=_since(begun)
        )
        return Result(captured=work.captured, segmentation=part, grab_ms=work.grab_ms)

    tolerant = _Tolerance(opened)
    threads = [
        _worker("capture", _grabbed(source), lambda work: work, captured),
        _worker("prepare", captured, prepare, prepared),
        _worker("infer", prepared, tolerant.guard(infer), inferred),
        _worker("mask", inferred, tolerant.guard(mask), masked),
    ]
    for thread in threads:
        thread.start()
    try:
        yield opened
    finally:
        source.stop()
        for channel in (masked, inferred, prepared, captured):
            channel.close()
        for thread in threads:
            thread.join()


class _Tolerance:
    """Skips what the engine fails on, and counts it; too many in a row end the stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._in_a_row = 0
        self._lock = threading.Lock()

    def guard(self, call: Callable[[A], B]) -> Callable[[A], B | None]:
        """The same call, with None for what failed."""

        def guarded(item: A) -> B | None:
            try:
                made = call(item)
            except BackendError as error:
                with self._lock:
                    self._stream.failed += 1
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

        return guarded


def _grabbed(source: Source) -> Iterator[_Work]:
    begun = time.perf_counter()
    for captured in source.frames:
        yield _Work(captured=captured, grab_ms=_since(begun))
        begun = time.perf_counter()


def _worker(
    name: str, items: Iterable[A], call: Callable[[A], B | None], target: Channel[B]
) -> threading.Thread:
    """A thread that puts what `call` makes of each item into a channel, and ends it."""

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                made = call(item)
                if made is not None and not target.put(made):
                    break
        except BaseException as caught:  # the consumer meets it
            error = caught
        if isinstance(items, Channel):
            items.close()
        target.end(error)

    return threading.Thread(target=work, name=f"edgeseg {name}", daemon=True)


def run(
    segmenter: Segmenter,
    source: Source,
    sinks: Sequence[Sink],
    *,
    max_frames: int | None = None,
    max_seconds: float | None = None,
    on_frame: Callable[[Result], None] | None = None,
    stop: threading.Event | None = None,
) -> Summary:
    """Feed every result to every sink until the source ends, a limit is reached, or Ctrl-C.

    `stop` ends it after the frame that is being written.
    """
    stages: list[tuple[float, ...]] = []
    ages: list[float] = []
    begun = time.perf_counter()
    with stream(segmenter, source) as results:
        try:
            for result in results:
                arrived = time.perf_counter()
                for sink in sinks:
                    sink.write(result.captured, result.mask)
                part = result.segmentation
                times = (part.prepare_ms, part.infer_ms, part.mask_ms)
                stages.append((result.grab_ms, *times, _since(arrived)))
                ages.append(_since(result.captured.at))
                if on_frame is not None:
                    on_frame(result)
                over = max_seconds is not None and time.perf_counter() - begun >= max_seconds
                if len(ages) == max_frames or over or (stop is not None and stop.is_set()):
                    break
        except KeyboardInterrupt:
            pass  # the usual way to end a camera; what was done is kept and summed up
        seconds = time.perf_counter() - begun
        return _summary(
            stages, ages, seconds=seconds, dropped=results.dropped, failed=results.failed
        )


def _since(begun: float) -> float:
    return 1e3 * (time.perf_counter() - begun)


def _summary(
    stages: list[tuple[float, ...]],
    ages: list[float],
    *,
    seconds: float,
    dropped: int,
    failed: int,
) -> Summary:
    table = np.array(stages).reshape(-1, len(STAGES))
    medians = np.median(table, axis=0) if len(table) else np.zeros(len(STAGES))
    return Summary(
        frames=len(ages),
        fps=len(ages) / seconds if ages else 0.0,
        latency_ms=_percentiles(table[:, 1:4].sum(axis=1)),
        frame_age_ms=_percentiles(np.array(ages)),
        dropped=dropped,
        failed=failed,
        stages_ms=dict(zip(STAGES, map(float, medians), strict=True)),
    )


def _percentiles(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Percentiles:
    if not len(values):
        return Percentiles(p50=0.0, p95=0.0, p99=0.0)
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return Percentiles(p50=float(p50), p95=float(p95), p99=float(p99))
