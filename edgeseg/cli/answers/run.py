"""Words for how a run went."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from edgeseg.cli.answers import Json
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from edgeseg.runtime.live.pipeline import Summary
    from edgeseg.runtime.session import RunResult

__all__ = ["run_to_json", "describe_run"]


def describe_run(summary: Summary, *, miou: float | None, live: bool) -> list[str]:
    """Write the last lines of a run; `miou` is given, in points, if the source has ground truth.

    The age of a frame is printed for a live source only: the frames of a file are read ahead and
    wait.
    """
    latency, age = summary.latency_ms, summary.frame_age_ms
    stages = ", ".join(f"{name} {value:.1f}" for name, value in summary.stages_ms.items())
    accuracy = [] if miou is None else [f"mIoU {miou:.2f} against the source's ground truth"]
    return [
        f"{pluralize(summary.frames, 'frame')}, {summary.fps:.1f} a second, {summary.dropped} "
        f"dropped"
        + (
            f", {summary.failed} failed, the last: {summary.last_failure}" if summary.failed else ""
        ),
        f"latency p50 {latency.p50:.1f} p95 {latency.p95:.1f} p99 {latency.p99:.1f} ms"
        + (f"; frame age p50 {age.p50:.1f} p95 {age.p95:.1f} p99 {age.p99:.1f} ms" if live else ""),
        f"stages, median ms: {stages}",
        *accuracy,
    ]


def run_to_json(result: RunResult) -> Json:
    """Turn the end of a run into the JSON object of `run --json`."""
    return {
        **asdict(result.summary),
        "backend": result.backend,
        "precision": result.precision,
        "miou": result.miou,
    }
