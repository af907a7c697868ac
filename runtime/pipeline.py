"""From a source through a segmenter into sinks, frame by frame, with the times of each stage.

`stream` is the seam: it yields results in order, and whoever consumes them decides what becomes
of them. `run` consumes them for the command line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgeseg.pixels import ClassMap
from edgeseg.runtime.segmenter import Segmentation, Segmenter
from edgeseg.runtime.sinks.sink import Sink
from edgeseg.runtime.sources import Captured, Source

__all__ = ["STAGES", "Percentiles", "Result", "Summary", "run", "stream"]

STAGES = ("grab", "prepare", "infer", "mask", "output")


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
    """What a run did. Durations are milliseconds a frame; `stages_ms` are medians."""

    frames: int
    fps: float
    latency_ms: Percentiles
    frame_age_ms: Percentiles
    dropped: int
    stages_ms: dict[str, float]


def stream(segmenter: Segmenter, source: Source) -> Iterator[Result]:
    """Segment every frame of a source, in order."""
    begun = time.perf_counter()
    for captured in source.frames:
        grab_ms = 1e3 * (time.perf_counter() - begun)
        segmentation = segmenter.segment(captured.image)
        yield Result(captured=captured, segmentation=segmentation, grab_ms=grab_ms)
        begun = time.perf_counter()


def run(
    segmenter: Segmenter,
    source: Source,
    sinks: Sequence[Sink],
    *,
    max_frames: int | None = None,
    max_seconds: float | None = None,
    on_frame: Callable[[Result], None] | None = None,
) -> Summary:
    """Feed every result to every sink until the source ends, a limit is reached, or Ctrl-C."""
    stages: list[tuple[float, ...]] = []
    ages: list[float] = []
    begun = time.perf_counter()
    try:
        for result in stream(segmenter, source):
            arrived = time.perf_counter()
            for sink in sinks:
                sink.write(result.captured, result.mask)
            done = time.perf_counter()
            part = result.segmentation
            output_ms = 1e3 * (done - arrived)
            stages.append((result.grab_ms, part.prepare_ms, part.infer_ms, part.mask_ms, output_ms))
            ages.append(1e3 * (done - result.captured.at))
            if on_frame is not None:
                on_frame(result)
            if len(ages) == max_frames or (max_seconds is not None and done - begun >= max_seconds):
                break
    except KeyboardInterrupt:
        pass  # the usual way to end a camera; what was done is kept and summed up
    return _summary(stages, ages, seconds=time.perf_counter() - begun)


def _summary(stages: list[tuple[float, ...]], ages: list[float], *, seconds: float) -> Summary:
    table = np.array(stages).reshape(-1, len(STAGES))
    medians = np.median(table, axis=0) if len(table) else np.zeros(len(STAGES))
    return Summary(
        frames=len(ages),
        fps=len(ages) / seconds if ages else 0.0,
        latency_ms=_percentiles(table[:, 1:4].sum(axis=1)),
        frame_age_ms=_percentiles(np.array(ages)),
        dropped=0,  # every frame is waited for
        stages_ms=dict(zip(STAGES, map(float, medians), strict=True)),
    )


def _percentiles(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Percentiles:
    if not len(values):
        return Percentiles(p50=0.0, p95=0.0, p99=0.0)
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return Percentiles(p50=float(p50), p95=float(p95), p99=float(p99))
