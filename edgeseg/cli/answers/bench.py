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
    """Describe each bundle, and the speed of each further one relative to the first.

    A bundle whose frames a GPU makes has a second line, with the times of the GPU and the host.
    """
    first, *others = results
    speeds = ["", *(f", {first.p50_ms / r.p50_ms:.2f} times as fast as the first" for r in others)]
    lines = [
        f"{result.bundle}: {result.p50_ms:.1f} ms a frame (p95 {result.p95_ms:.1f}), "
        f"{result.fps:.1f} fps{speed}; "
        f"prepare {result.prepare_ms:.1f}, infer {result.infer_ms:.1f}, mask {result.mask_ms:.1f}; "
        f"peak {result.peak_rss_mb:.0f} MB ({result.backend} on {result.runs_on}, "
        f"{result.precision})"
        for result, speed in zip(results, speeds, strict=True)
    ]
    times = [_describe_device(result) for result in results]
    return [line for pair in zip(lines, times, strict=True) for line in pair if line]


def _describe_device(result: BenchResult) -> str:
    """Describe what the GPU took of each stage, and the host of the others."""
    device = result.device
    if device is None:
        return ""
    host_prepare_ms = result.prepare_ms - device.upload_ms - device.prepare_ms
    host_mask_ms = result.mask_ms - device.mask_ms - device.download_ms
    return (
        f"  on the GPU: upload {device.upload_ms:.2f}, prepare {device.prepare_ms:.2f}, engine "
        f"{device.engine_ms:.2f}, mask {device.mask_ms:.2f}, download {device.download_ms:.2f}; on "
        f"the host: prepare {host_prepare_ms:.2f}, mask {host_mask_ms:.2f}"
    )


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
