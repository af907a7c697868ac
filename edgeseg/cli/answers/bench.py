"""Words for what `edgeseg bench` timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from edgeseg.cli.answers import Json

if TYPE_CHECKING:
    from edgeseg.bench.latency import BenchResult
    from edgeseg.bench.throughput import EndToEnd

__all__ = ["bench_to_json", "describe_bench", "describe_end_to_end"]


def describe_bench(results: Sequence[BenchResult]) -> list[str]:
    """Describe each bundle in a line, and the speed of each further one relative to the first."""
    first, *others = results
    speeds = ["", *(f", {first.p50_ms / r.p50_ms:.2f} times as fast as the first" for r in others)]
    return [
        f"{result.bundle}: {result.p50_ms:.1f} ms a frame (p95 {result.p95_ms:.1f}), "
        f"{result.fps:.1f} fps{speed}; "
        f"prepare {result.prepare_ms:.1f}, infer {result.infer_ms:.1f}, mask {result.mask_ms:.1f}; "
        f"peak {result.peak_rss_mb:.0f} MB ({result.backend}, {result.precision})"
        for result, speed in zip(results, speeds, strict=True)
    ]


def describe_end_to_end(results: Sequence[EndToEnd]) -> list[str]:
    """Describe each bundle and number of threads in two lines."""
    return [
        line
        for result in results
        for line in (
            (
                f"{result.bundle}, engine threads {result.threads}: a run keeps {result.kept:.2f} "
                f"of the engine's speed (lowest {result.kept_lowest:.2f}; one after the other "
                f"{result.sequential:.2f}), {result.run_fps:.1f} of {result.engine_fps:.1f} fps"
            ),
            (
                f"  prepare {result.prepare_ms:.1f} + mask {result.mask_ms:.1f} ms are "
                f"{result.host_share:.2f} of the engine's {result.engine_ms:.1f} ms; "
                f"{result.page_faults:.1f} page faults a frame"
            ),
        )
    ]


def bench_to_json(results: Sequence[BenchResult], whole: Sequence[EndToEnd]) -> Json:
    """Turn the timings into the JSON object of `bench --json`."""
    return {
        "results": [asdict(result) for result in results],
        "end_to_end": [asdict(result) for result in whole],
    }
