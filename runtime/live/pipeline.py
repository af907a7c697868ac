"""Moves frames from a source through a segmenter to a consumer; the stages overlap in threads.

    capture -> prepare -> infer -> mask -> the consumer

With a live source, each stage takes the newest frame: a newer frame replaces one that waits, and
dropped frames are counted. A file loses no frame and keeps its order. At most one frame waits
between two stages, so no frame grows old in a queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from edgeseg.errors import BackendError, SourceError
from edgeseg.pixels import Frame, Output, to_frame_mask, to_input
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.live.channel import Channel
from edgeseg.runtime.live.durations import Durations, Percentiles
from edgeseg.runtime.result import MASK_STAGES, Result, Segmentation
from edgeseg.runtime.sinks.sink import Sink
from edgeseg.runtime.sources import Captured, Source
from edgeseg.runtime.sources.limit import stop_after
from edgeseg.runtime.threads import start_thread
from edgeseg.runtime.tiling import segment_tiled
from edgeseg.runtime.timing import time_call
from edgeseg.spec import InputSpec

__all__ = ["STAGES", "Stream", "Summary", "run", "stream"]

STAGES: Final = (*MASK_STAGES, "output")
# A frame is skipped where the engine fails on it; this many failures in a row end the run.
FAILURES_IN_A_ROW: Final = 10

A = TypeVar("A")
B = TypeVar("B")


class Network(Protocol):
    """What the pipeline needs of a segmenter: an engine, and how a frame becomes its input."""

    @property
    def backend(self) -> Backend:
        """The engine. Only one thread calls it at a time."""

    @property
    def input(self) -> InputSpec:
        """The size of the engine's input, and the rule by which frames are resized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did. Durations are milliseconds for each frame; `stages_ms` are medians.

    `frame_age_ms` is the time from capture to the end of output. `failed` counts frames for which
    the engine gave no mask; `last_failure` is the reason for the last one. `lost` says why a camera
    or stream ended by itself.
    """

    frames: int
    fps: float
    latency_ms: Percentiles
    frame_age_ms: Percentiles
    dropped: int
    failed: int
    last_failure: str | None
    stages_ms: dict[str, float]
    lost: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A frame in the pipeline, with the results of the stages so far."""

    captured: Captured
    grab_ms: float
    network_input: Frame | None = None
    output: Output | None = None
    tiled: Segmentation | None = None
    prepare_ms: float = 0.0
    infer_ms: float = 0.0


@dataclass
class Stream:
    """Results in order; iterate once. `dropped` and `failed` are up to date at any time."""

    results: Iterator[Result]
    _channels: Sequence[Channel[_Work]] = ()
    failed: int = 0
    last_failure: str | None = None

    @property
    def dropped(self) -> int:
        """How many frames of a live source were replaced by newer ones."""
        return sum(channel.dropped for channel in self._channels)

    def __iter__(self) -> Iterator[Result]:
        """Give the results; `stream` says which errors end them."""
        return self.results


@contextmanager
def stream(network: Network, source: Source, *, tile: bool = False) -> Iterator[Stream]:
    """Segment a source's frames; while the block runs, each stage has a thread of its own.

    With `tile`, the stage `infer` makes a frame's whole mask, window by window.

    Raises, while iterating:
        SourceError: the source broke off.
        BackendError: the engine failed on ten frames in a row, or the system gives no thread.
    """
    captured: Channel[_Work] = Channel(newest=source.live)
    prepared: Channel[_Work] = Channel(newest=source.live)
    inferred: Channel[_Work] = Channel()
    masked: Channel[Result] = Channel()
    opened = Stream(results=iter(masked), _channels=(captured, prepared))
    ended = threading.Event()
    spec = network.input

    def prepare(work: _Work) -> _Work:
        network_input, prepare_ms = time_call(to_input, work.captured.image, spec)
        return replace(work, network_input=network_input, prepare_ms=prepare_ms)

    def infer(work: _Work) -> _Work:
        assert work.network_input is not None, "it was just prepared"
        output, infer_ms = time_call(_infer, network.backend, work.network_input)
        return replace(work, network_input=None, output=output, infer_ms=infer_ms)

    def infer_tiles(work: _Work) -> _Work:
        image = work.captured.image
        tiled = segment_tiled(network.backend, spec, image, stopped=ended.is_set)
        return replace(work, tiled=tiled)

    def mask(work: _Work) -> Result:
        return Result(
            captured=work.captured,
            segmentation=work.tiled or _make_mask(work, spec),
            grab_ms=work.grab_ms,
            dropped=opened.dropped,
            failed=opened.failed,
        )

    tolerant = _Tolerance(opened)
    threads = [
        _make_worker("capture", _grab(source), _pass_on, captured),
        _make_worker("prepare", captured, _pass_on if tile else prepare, prepared),
        _make_worker("infer", prepared, tolerant.guard(infer_tiles if tile else infer), inferred),
        _make_worker("mask", inferred, tolerant.guard(mask), masked),
    ]

    def end() -> None:
        ended.set()
        source.stop()
        for channel in (masked, inferred, prepared, captured):
            channel.close()

    with _run_threads(threads, end):
        yield opened


def _pass_on(work: _Work) -> _Work:
    return work


def _make_mask(work: _Work, spec: InputSpec) -> Segmentation:
    assert work.output is not None, "it was just inferred"
    mask, mask_ms = time_call(to_frame_mask, work.output, spec, work.captured.image)
    return Segmentation(
        mask=mask, prepare_ms=work.prepare_ms, infer_ms=work.infer_ms, mask_ms=mask_ms
    )


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

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._in_a_row = 0
        self._lock = threading.Lock()

    def guard(self, call: Callable[[A], B]) -> Callable[[A], B | None]:
        """Wrap `call` so that it returns None where it fails."""

        def call_or_count(item: A) -> B | None:
            try:
                made = call(item)
            except BackendError as error:
                with self._lock:
                    self._stream.failed += 1
                    self._stream.last_failure = str(error)
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


def _grab(source: Source) -> Iterator[_Work]:
    begun = time.perf_counter()
    for captured in source.frames:
        yield _Work(captured=captured, grab_ms=_measure_since(begun))
        begun = time.perf_counter()


def _make_worker(
    name: str, items: Iterable[A], call: Callable[[A], B | None], target: Channel[B]
) -> threading.Thread:
    """Make a thread that puts `call`'s result for each item into `target`, then ends `target`."""

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                made = call(item)
                if made is not None and not target.put(made):
                    break
        except BaseException as caught:  # raised again in the consumer
            error = caught
        if isinstance(items, Channel):
            items.close()
        target.end(error)

    return threading.Thread(target=work, name=f"edgeseg {name}", daemon=True)


def run(
    network: Network,
    source: Source,
    sinks: Sequence[Sink],
    *,
    max_frames: int | None = None,
    max_seconds: float | None = None,
    on_frame: Callable[[Result], None] | None = None,
    stop: threading.Event | None = None,
    tile: bool = False,
) -> Summary:
    """Feed every result to every sink until the source ends, a limit is reached, or Ctrl-C.

    `stop` ends the run after the frame that is being written. A camera or stream that is lost for
    good ends the run too, if it gave frames before. `tile` is that of `stream`.
    """
    tally = _Tally()
    lost: str | None = None
    with stop_after(max_seconds, source), stream(network, source, tile=tile) as results:
        try:
            for result in results:
                _, output_ms = time_call(_write, result, sinks)
                tally.add(result, output_ms=output_ms)
                if on_frame is not None:
                    on_frame(result)
                over = max_seconds is not None and tally.seconds >= max_seconds
                if tally.frames == max_frames or over or (stop is not None and stop.is_set()):
                    break
        except KeyboardInterrupt:
            pass  # the usual way to end a camera; results are kept and summed up
        except SourceError as error:
            if not (source.live and tally.frames):
                raise
            lost = str(error)
        if results.failed and not tally.frames:
            raise BackendError(
                f"no frame got a mask: {results.failed} failed, the last with: "
                f"{results.last_failure}"
            )
        return tally.summarize(results, lost=lost)


def _write(result: Result, sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        sink.write(result)


class _Tally:
    """Counts a run's frames and durations, in memory that does not grow."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._latency, self._age = Durations(), Durations()
        self._stages = {name: Durations() for name in STAGES}
        self.frames = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    def add(self, result: Result, *, output_ms: float) -> None:
        for name, took_ms in {**result.stages_ms, "output": output_ms}.items():
            self._stages[name].add(took_ms)
        self._latency.add(result.segmentation.latency_ms)
        self._age.add(_measure_since(result.captured.at))
        self.frames += 1

    def summarize(self, stream: Stream, *, lost: str | None) -> Summary:
        return Summary(
            frames=self.frames,
            fps=self.frames / self.seconds if self.frames else 0.0,
            latency_ms=self._latency.percentiles,
            frame_age_ms=self._age.percentiles,
            dropped=stream.dropped,
            failed=stream.failed,
            last_failure=stream.last_failure,
            stages_ms={name: stage.percentile(50) for name, stage in self._stages.items()},
            lost=lost,
        )


def _measure_since(begun: float) -> float:
    return 1e3 * (time.perf_counter() - begun)
