"""Writes a run's figures in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeseg.runtime.preview.board import Stats

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

    Family = CounterMetricFamily | GaugeMetricFamily

__all__ = ["Figures", "to_prometheus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one source; `name` labels them where there are several sources.

    `events` counts what changed midway, by its kind; kinds of which there was none are there, too:
    a rate needs the first step.
    """

    name: str | None
    about: Mapping[str, str]
    stats: Stats
    shares: Mapping[str, float]
    events: Mapping[str, int]

    @property
    def labels(self) -> dict[str, str]:
        """The labels that tell this source from others."""
        return {} if self.name is None else {"source": self.name}


def to_prometheus(figures: Sequence[Figures], *, viewers: int) -> bytes:
    """Write the figures in seconds and ratios, as Prometheus asks, and the process's memory."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    class Once:
        def collect(self) -> Iterable[Metric]:
            return _list_metrics(figures, viewers)

    registry = CollectorRegistry()
    registry.register(Once())
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _list_metrics(figures: Sequence[Figures], viewers: int) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

    info = InfoMetricFamily("edgeseg", "What runs.", labels=list(figures[0].labels))
    for one in figures:
        info.add_metric(list(one.labels.values()), dict(one.about) | one.labels)
    yield info

    def gather(
        kind: type[Family],
        name: str,
        text: str,
        rows: Sequence[Mapping[str, float]],
        *label: str,
    ) -> Family:
        """Make a family with a sample for each value of each source; `label` tells values apart."""
        family = kind(f"edgeseg_{name}", text, labels=[*figures[0].labels, *label])
        for one, row in zip(figures, rows, strict=True):
            for key, value in row.items():
                family.add_metric([*one.labels.values(), *([key] if label else [])], value)
        return family

    stats = [one.stats for one in figures]
    for name, text, counts in (
        ("frames", "Frames segmented.", [s.frames for s in stats]),
        (
            "dropped_frames",
            "Frames that newer ones replaced, or too old.",
            [s.dropped for s in stats],
        ),
        ("skipped_frames", "Frames beyond the rate asked for.", [s.skipped for s in stats]),
        ("reused_frames", "Frames with the mask of an earlier one.", [s.reused for s in stats]),
        ("failed_frames", "Frames that the engine gave no mask for.", [s.failed for s in stats]),
    ):
        yield gather(CounterMetricFamily, name, text, [{"": count} for count in counts])
    events = [one.events for one in figures]
    yield gather(CounterMetricFamily, "events", "What changed midway.", events, "event")
    for name, text, rows in (
        ("frames_per_second", "Over the last frames.", [{"": s.fps} for s in stats]),
        ("newest_frame_seconds", "Since the newest mask.", [_list_newest(s) for s in stats]),
    ):
        yield gather(GaugeMetricFamily, name, text, rows)
    ages, stages = [_list_quantiles(s) for s in stats], [_list_stages(s) for s in stats]
    shares = [one.shares for one in figures]
    for name, label, text, values in (
        ("frame_age_seconds", "quantile", "Capture to mask, over the last frames.", ages),
        ("stage_seconds", "stage", "Medians over the last frames.", stages),
        ("class_ratio", "class", "Part of the newest mask's pixels.", shares),
    ):
        yield gather(GaugeMetricFamily, name, text, values, label)
    yield GaugeMetricFamily("edgeseg_preview_viewers", "Browsers that watch.", value=viewers)


def _list_newest(stats: Stats) -> dict[str, float]:
    return {} if stats.newest_s is None else {"": stats.newest_s}


def _list_stages(stats: Stats) -> dict[str, float]:
    return {stage: milliseconds / 1e3 for stage, milliseconds in stats.stages_ms.items()}


def _list_quantiles(stats: Stats) -> dict[str, float]:
    ages = {"0.5": stats.age_p50_ms, "0.95": stats.age_p95_ms, "0.99": stats.age_p99_ms}
    return {quantile: age_ms / 1e3 for quantile, age_ms in ages.items() if age_ms is not None}
