"""What `edgeseg run` does once all is opened: signals, outputs, watchdog and progress together."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.cli.options import say
from edgeseg.cli.signals import ended_by_signals

if TYPE_CHECKING:
    from edgeseg.labels import Labels
    from edgeseg.runtime.live.pipeline import Summary
    from edgeseg.runtime.live.service import Service
    from edgeseg.runtime.result import Result
    from edgeseg.runtime.segmenter import Segmenter
    from edgeseg.runtime.sinks.outputs import Outputs
    from edgeseg.runtime.sources import Source

__all__ = ["Done", "Limits", "run_until_ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run ends by itself."""

    frames: int | None
    seconds: float | None

    def length(self, feed: Source) -> int | None:
        """How many frames will come, where somebody knows."""
        known = [length for length in (feed.length, self.frames) if length is not None]
        return min(known, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a run went; `miou` where the source has ground truth."""

    summary: Summary
    miou: float | None
    failed_outputs: int
    written: tuple[str, ...]


def run_until_ended(
    segmenter: Segmenter, feed: Source, outputs: Outputs, limits: Limits, service: Service
) -> Done:
    """Until the source ends, a limit is reached, or somebody ends it."""
    from edgeseg.pixels.shrinking import ShrinkTeller
    from edgeseg.progress import progress
    from edgeseg.runtime.about import About
    from edgeseg.runtime.live.pipeline import run as run_pipeline
    from edgeseg.runtime.sinks.outputs import open_outputs
    from edgeseg.runtime.sinks.truth import TruthMeter

    stop = threading.Event()

    def end() -> None:
        """Finish the frame at hand; a source that waits to come back waits no more."""
        stop.set()
        feed.stop()

    labels = segmenter.bundle.manifest.labels
    about = About(
        bundle=segmenter.bundle.manifest.name,
        engine=segmenter.backend.name,
        precision=segmenter.variant.precision,
        source=feed.name,
        labels=labels,
        fps=feed.fps,
        live=feed.live,
        last_frame_s=feed.last_frame_s,
    )
    variant = f"{segmenter.bundle.folder} ({segmenter.variant.name})"
    say(f"{variant} on {about.engine}, source {about.source}")
    shrinking = ShrinkTeller(segmenter.bundle.manifest.input, say)
    meter = TruthMeter(labels, tell=say) if _same_classes(feed.labels, labels) else None
    with (
        ended_by_signals(end),
        open_outputs(outputs, about, tell=say, stop=end) as fan,
        progress("segmenting", limits.length(feed), lines=False) as advance,
    ):
        service.ready(f"{about.bundle}, source {about.source}")

        def on_frame(result: Result) -> None:
            shrinking.see(*result.captured.image.shape[:2])
            advance()
            service.alive()

        summary = run_pipeline(
            segmenter,
            feed,
            [fan] if meter is None else [meter, fan],
            max_frames=limits.frames,
            max_seconds=limits.seconds,
            on_frame=on_frame,
            stop=stop,
        )
        service.stopping()
    miou = None if meter is None else meter.miou
    return Done(
        summary=summary,
        miou=miou,
        failed_outputs=fan.failed,
        written=tuple(map(_shown, fan.written)),
    )


def _shown(path: Path) -> str:
    """As its user would call it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _same_classes(truth: Labels | None, labels: Labels) -> bool:
    return truth is not None and truth.classes == labels.classes
