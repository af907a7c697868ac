"""All outputs of a run, together: finished when it succeeds, discarded when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeseg.labels import Labels
from edgeseg.runtime.sinks.jsonl import JsonlSink
from edgeseg.runtime.sinks.masks import MaskSink
from edgeseg.runtime.sinks.sink import Sink
from edgeseg.runtime.sinks.video import open_save_sink

__all__ = ["Outputs", "open_outputs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where results go; None for what is not wanted. `jsonl` may be `-`, standard output."""

    save: Path | None = None
    masks: Path | None = None
    jsonl: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The names of what a successful run leaves behind."""
        named = (self.save, self.masks, None if self.jsonl == "-" else self.jsonl)
        return tuple(str(name) for name in named if name is not None)


@contextmanager
def open_outputs(outputs: Outputs, labels: Labels, *, fps: float) -> Iterator[list[Sink]]:
    """Open every sink that is wanted; `fps` is a saved video's rate.

    Raises:
        SinkError: one cannot be opened, or, at the end, not be made whole.
    """
    sinks: list[Sink] = []
    try:
        if outputs.save is not None:
            sinks.append(open_save_sink(outputs.save, labels, fps=fps))
        if outputs.masks is not None:
            sinks.append(MaskSink(outputs.masks))
        if outputs.jsonl is not None:
            sinks.append(JsonlSink(outputs.jsonl, labels))
        yield sinks
        for sink in sinks:
            sink.finish()
    except BaseException:
        for sink in sinks:
            sink.discard()
        raise
