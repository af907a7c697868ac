"""Ends a source after a time, even where it gives no more frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edgeseg.runtime.sources.source import Source
from edgeseg.runtime.threads import start_thread

__all__ = ["stop_after"]


@contextmanager
def stop_after(seconds: float | None, source: Source) -> Iterator[None]:
    """Stop the source after `seconds`, whether or not it gives frames.

    Raises:
        BackendError: the system gives no further thread.
    """
    if seconds is None or seconds > threading.TIMEOUT_MAX:  # about three centuries
        yield
        return
    timer = threading.Timer(seconds, source.stop)
    timer.daemon = True
    start_thread(timer)
    try:
        yield
    finally:
        timer.cancel()
