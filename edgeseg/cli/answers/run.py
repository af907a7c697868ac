"""Words for how a run went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from edgeseg.cli.answers import Json
from edgeseg.text import join_reasons, pluralize

if TYPE_CHECKING:
    from edgeseg.runtime.live.tally import Summary
    from edgeseg.runtime.request import PartResult, RunResult

__all__ = ["run_to_json", "describe_run"]


def describe_run(result: RunResult) -> list[str]:
    """Write the last lines of a run; of several sources, first a line about each.

    The age of a frame is printed for live sources only: the frames of a file are read ahead and
    wait.
    """
    several = len(result.parts) > 1
    stages = ", ".join(f"{name} {value:.1f}" for name, value in result.summary.stages_ms.items())
    accuracy = [] if several else _describe_accuracy(result.parts[0])
    return [
        *(f"{part.name}: {_describe_part(part)}" for part in result.parts if several),
        _describe_frames(result.summary),
        _describe_times(result.summary, live=all(part.live for part in result.parts)),
        f"stages, median ms: {stages}",
        *(_describe_changes(result.parts[0]) if not several else []),
        *accuracy,
    ]


def _describe_part(part: PartResult) -> str:
    lost = [] if part.summary.lost is None else [f"lost: {part.summary.lost}"]
    times = [_describe_times(part.summary, live=part.live)] if part.summary.frames else []
    return join_reasons(
        (
            _describe_frames(part.summary),
            *times,
            *_describe_accuracy(part),
            *_describe_changes(part),
            *lost,
        )
    )


def _describe_frames(summary: Summary) -> str:
    failed = f", {summary.failed} failed, the last: {summary.last_failure}"
    skipped = f", {summary.skipped} skipped" if summary.skipped else ""
    reused = f", {summary.reused} reused" if summary.reused else ""
    return (
        f"{pluralize(summary.frames, 'frame')}, {summary.fps:.1f} a second, {summary.dropped} "
        f"dropped{skipped}{reused}{failed if summary.failed else ''}"
    )


def _describe_times(summary: Summary, *, live: bool) -> str:
    latency, age = summary.latency_ms, summary.frame_age_ms
    line = f"latency p50 {latency.p50:.1f} p95 {latency.p95:.1f} p99 {latency.p99:.1f} ms"
    ages = f"; frame age p50 {age.p50:.1f} p95 {age.p95:.1f} p99 {age.p99:.1f} ms"
    return line + (ages if live else "")


def _describe_changes(part: PartResult) -> list[str]:
    changes = ", ".join(f"{kind} {count}" for kind, count in part.events.items())
    return [f"changes midway: {changes}"] if changes else []


def _describe_accuracy(part: PartResult) -> list[str]:
    return [] if part.miou is None else [f"mIoU {part.miou:.2f} against the source's ground truth"]


def run_to_json(result: RunResult) -> Json:
    """Turn the end of a run into the JSON object of `run --json`.

    `events` is there only if something changed midway. Of several sources, and of one
    that the user named, `sources` has the figures of each, by name.
    """
    sources = {
        part.name: {**asdict(part.summary), "miou": part.miou, **_list_events(part.events)}
        for part in result.parts
    }
    return {
        **asdict(result.summary),
        "backend": result.backend,
        "precision": result.precision,
        "miou": result.miou,
        **_list_events(result.events),
        **({"sources": sources} if result.by_name else {}),
    }


def _list_events(events: Mapping[str, int]) -> Json:
    return {"events": dict(events)} if events else {}
