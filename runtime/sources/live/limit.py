"""Ends sources after a time, even where they give no more frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edgeseg.runtime.sources.source import Source
from edgeseg.runtime.threads import start_thread

__all__ = ["stop_after"]


@contextmanager
def stop_after(
    seconds: float | None, sources: Sequence[Source], ending: threading.Event
) -> Iterator[None]:
    """Stop the sources after `seconds`, whether or not they give frames.

    Before that, `ending` is set: from then on the sources end because the run does.

    Raises:
        BackendError: the system gives no further thread.
    """
    if seconds is None or seconds > threading.TIMEOUT_MAX:  # about three centuries
        yield
        return

    def stop() -> None:
        ending.set()
        for source in sources:
            source.stop()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    start_thread(timer)
    try:
        yield
    finally:
        timer.cancel()
