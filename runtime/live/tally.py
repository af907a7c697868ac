"""Sums up what a run did, in memory that does not grow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Protocol

from edgeseg.runtime.live.durations import Durations, Percentiles
from edgeseg.runtime.result import MASK_STAGES, Result
from edgeseg.runtime.timing import measure_since

__all__ = ["STAGES", "Counts", "Summary", "Tally"]

STAGES: Final = (*MASK_STAGES, "output")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did. Durations are milliseconds for each frame; `stages_ms` are medians.

    `frame_age_ms` is the time from capture to the end of output. `dropped` counts live frames that
    newer ones replaced or that waited too long, `skipped` frames beyond the rate that was asked
    for. `failed` counts frames for which the engine gave no mask; `last_failure` is the reason for
    the last one. `reused` counts frames that have the mask of an earlier one. `lost` says why a
    camera or stream ended by itself.
    """

    frames: int
    fps: float
    latency_ms: Percentiles
    frame_age_ms: Percentiles
    dropped: int
    skipped: int
    reused: int
    failed: int
    last_failure: str | None
    stages_ms: dict[str, float]
    lost: str | None


class Counts(Protocol):
    """What a stream counts while it runs."""

    @property
    def dropped(self) -> int:
        """How many frames were replaced by newer ones, or waited too long."""

    @property
    def skipped(self) -> int:
        """How many frames the pace left out."""

    @property
    def failed(self) -> int:
        """For how many frames the engine gave no mask."""

    @property
    def last_failure(self) -> str | None:
        """Why the engine gave no mask for the last one of these."""

    @property
    def lost(self) -> str | None:
        """Why a source ended by itself."""


class Tally:
    """Counts frames and durations."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._latency, self._age = Durations(), Durations()
        self._stages = {name: Durations() for name in STAGES}
        self.frames = self.reused = 0

    @property
    def seconds(self) -> float:
        """Seconds since the tally began."""
        return time.perf_counter() - self._begun

    def add(self, result: Result, *, output_ms: float) -> None:
        """Count a frame, whose outputs took `output_ms` milliseconds."""
        for name, took_ms in {**result.stages_ms, "output": output_ms}.items():
            self._stages[name].add(took_ms)
        self._latency.add(result.segmentation.latency_ms)
        self._age.add(measure_since(result.captured.at))
        self.frames += 1
        self.reused += result.reused

    def summarize(self, counts: Counts) -> Summary:
        """Sum up until now."""
        return Summary(
            frames=self.frames,
            fps=self.frames / self.seconds if self.frames else 0.0,
            latency_ms=self._latency.percentiles,
            frame_age_ms=self._age.percentiles,
            dropped=counts.dropped,
            skipped=counts.skipped,
            reused=self.reused,
            failed=counts.failed,
            last_failure=counts.last_failure,
            stages_ms={name: stage.percentile(50) for name, stage in self._stages.items()},
            lost=counts.lost,
        )
