"""A camera or stream as frames, for as long as it gives any."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgeseg.errors import SourceError
from edgeseg.runtime.live import LiveDevice, Retry
from edgeseg.runtime.sources.camera import as_opened
from edgeseg.runtime.sources.naming import cannot_open
from edgeseg.runtime.sources.rate import frames_per_second
from edgeseg.runtime.sources.source import Captured, Source

__all__ = ["live"]


@contextmanager
def live(open_: Callable[[], Any], uri: str | int, name: str, retry: Retry) -> Iterator[Source]:
    """What `open_` opens, and opens again when it is lost; released at the end."""
    first = open_()
    if not first.isOpened():
        first.release()
        raise SourceError(cannot_open(uri))
    device = LiveDevice(name, first, open_, retry)
    try:
        yield Source(
            name=as_opened(first, uri, name),
            frames=_read_live(device),
            fps=frames_per_second(first),
            length=None,
            live=True,
            stop=device.stop,
        )
    finally:
        device.release()


def _read_live(device: LiveDevice) -> Iterator[Captured]:
    start = time.perf_counter()
    for index, image in enumerate(device.images()):
        now = time.perf_counter()
        yield Captured(index=index, name=f"{index:06d}", time_s=now - start, at=now, image=image)
