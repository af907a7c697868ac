"""Holds the newest result and figures of the last ones: the run writes, viewers read."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from edgeseg.runtime.result import MASK_STAGES, Result

__all__ = ["Board", "Stats"]

# Figures cover this many frames: some seconds, so that they follow changes.
_RECENT: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Figures of the run.

    Durations are milliseconds, over the last frames. Counts are since the start. A source that
    gives no frames now has no ages and no stages. `newest_s` says how long ago the newest result
    came; None before the first, and after the end.
    """

    frames: int
    dropped: int
    skipped: int
    reused: int
    failed: int
    fps: float
    age_p50_ms: float | None
    age_p95_ms: float | None
    age_p99_ms: float | None
    stages_ms: dict[str, float]
    newest_s: float | None

    def without_rates(self) -> Stats:
        """Leave out what is only true while frames come."""
        return replace(
            self, fps=0.0, age_p50_ms=None, age_p95_ms=None, age_p99_ms=None, stages_ms={}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    at: float
    age_ms: float
    stages_ms: dict[str, float]


class Board:
    """The newest result and the figures. Thread-safe; publishing costs a few assignments."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Result | None = None
        self._recent: deque[_Row] = deque(maxlen=_RECENT)
        self._frames = self._reused = 0

    def publish(self, result: Result) -> None:
        """Make `result` the newest result."""
        now = time.perf_counter()
        row = _Row(at=now, age_ms=1e3 * (now - result.captured.at), stages_ms=result.stages_ms)
        with self._lock:
            self._newest = result
            self._recent.append(row)
            self._frames += 1
            self._reused += result.reused

    @property
    def newest(self) -> Result | None:
        """The newest result, or None before the first."""
        return self._newest

    @property
    def newest_s(self) -> float | None:
        """How long ago the newest result came, in seconds; None before the first."""
        with self._lock:
            return time.perf_counter() - self._recent[-1].at if self._recent else None

    def compute_stats(self) -> Stats:
        """Compute the figures of the run at this moment."""
        with self._lock:
            newest, rows = self._newest, tuple(self._recent)
            frames, reused = self._frames, self._reused
        if newest is None:
            nothing = dict.fromkeys(MASK_STAGES, 0.0)
            return Stats(
                frames=0, dropped=0, skipped=0, reused=0, failed=0, fps=0.0, age_p50_ms=0.0,
                age_p95_ms=0.0, age_p99_ms=0.0, stages_ms=nothing, newest_s=None,
            )  # fmt: skip
        now = time.perf_counter()
        newest_s = now - rows[-1].at
        # After a second without frames the rate begins to fall.
        span = (now if newest_s > 1 else rows[-1].at) - rows[0].at
        p50, p95, p99 = map(float, np.percentile([row.age_ms for row in rows], (50, 95, 99)))
        return Stats(
            frames=frames,
            dropped=newest.dropped,
            skipped=newest.skipped,
            reused=reused,
            failed=newest.failed,
            fps=(len(rows) - 1) / span if span > 0 else 0.0,
            age_p50_ms=p50,
            age_p95_ms=p95,
            age_p99_ms=p99,
            stages_ms={
                stage: float(np.median([row.stages_ms[stage] for row in rows]))
                for stage in MASK_STAGES
            },
            newest_s=newest_s,
        )
