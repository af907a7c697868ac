"""Starts threads, and explains why the system gives none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.errors import BackendError

if TYPE_CHECKING:
    from threading import Thread

__all__ = ["start_thread"]


def start_thread(thread: Thread) -> None:
    """Start a thread.

    Raises:
        BackendError: the system gives no further thread.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise BackendError(
            f"the system gives no further thread ({error}); raise its limit (ulimit -u, or a "
            f"service's TasksMax=)"
        ) from None
