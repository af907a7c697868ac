"""What Ctrl-C and SIGTERM do to a command that has something to finish."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["end_on_signals"]


@contextmanager
def end_on_signals(end: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call `end`; the second Ctrl-C is the usual one."""
    before = signal.getsignal(signal.SIGINT)
    terminated = signal.getsignal(signal.SIGTERM)

    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, before)
        end()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, terminated)
