"""All outputs of a run, together: finished when it succeeds, discarded when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeseg.errors import SinkError
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

    def check(self, source: str) -> None:
        """Refuse outputs that would replace the source, each other, or a device.

        Raises:
            SinkError: they would; the message names the output.
        """
        paths = [Path(name).resolve() for name in self.files]
        read = Path(source).resolve()
        for name, path in zip(self.files, paths, strict=True):
            if path == read or (path == read.parent and read.is_file()) or path.parent == read:
                raise SinkError(f"{name} lies where {source} is read from; write somewhere else")
            if paths.count(path) > 1:
                raise SinkError(f"{name} is named for two outputs; give each its own")
            if path.exists() and not path.is_file() and not path.is_dir():
                raise SinkError(f"{name} is a device or a pipe, not a file; use - for stdout")


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
