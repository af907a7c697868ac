"""Writes a run's figures in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from edgeseg.runtime.preview.board import Stats

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["to_prometheus"]


def to_prometheus(
    stats: Stats, *, shares: Mapping[str, float], viewers: int, about: Mapping[str, str]
) -> bytes:
    """Write the figures in seconds and ratios, as Prometheus asks, and the process's memory."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    class Once:
        def collect(self) -> Iterable[Metric]:
            return _list_metrics(stats, shares, viewers, about)

    registry = CollectorRegistry()
    registry.register(Once())
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _list_metrics(
    stats: Stats, shares: Mapping[str, float], viewers: int, about: Mapping[str, str]
) -> Iterable[Metric]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        InfoMetricFamily,
    )

    yield InfoMetricFamily("edgeseg", "What runs.", value=dict(about))
    yield CounterMetricFamily("edgeseg_frames", "Frames segmented.", value=stats.frames)
    yield CounterMetricFamily(
        "edgeseg_dropped_frames", "Frames that a newer one took the place of.", value=stats.dropped
    )
    yield CounterMetricFamily(
        "edgeseg_failed_frames", "Frames that the engine gave no mask for.", value=stats.failed
    )
    yield GaugeMetricFamily("edgeseg_frames_per_second", "Over the last frames.", value=stats.fps)
    if stats.newest_s is not None:
        yield GaugeMetricFamily(
            "edgeseg_newest_frame_seconds", "Since the newest mask.", value=stats.newest_s
        )
    age = GaugeMetricFamily(
        "edgeseg_frame_age_seconds", "Capture to mask, over the last frames.", labels=["quantile"]
    )
    quantiles = (("0.5", stats.age_p50_ms), ("0.95", stats.age_p95_ms), ("0.99", stats.age_p99_ms))
    for quantile, milliseconds in quantiles:
        age.add_metric([quantile], milliseconds / 1e3)
    yield age
    stages = GaugeMetricFamily(
        "edgeseg_stage_seconds", "Medians over the last frames.", labels=["stage"]
    )
    for stage, milliseconds in stats.stages_ms.items():
        stages.add_metric([stage], milliseconds / 1e3)
    yield stages
    parts = GaugeMetricFamily(
        "edgeseg_class_ratio", "Part of the newest mask's pixels.", labels=["class"]
    )
    for name, share in shares.items():
        parts.add_metric([name], share)
    yield parts
    yield GaugeMetricFamily("edgeseg_preview_viewers", "Browsers that watch.", value=viewers)
