"""Ends a command on Ctrl-C or SIGTERM: at once, or after it has finished its work."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["SIGNALLED", "end_on_signals", "unwind_on_signals"]

# The exit status of a process that a signal ended is this and the signal's number, as in a shell.
SIGNALLED: Final = 128
_STDERR: Final = 2  # the descriptor
# Seconds until a signal is sent again; the destructor that it interrupted has ended by then.
_AGAIN_S: Final = 0.1


@contextmanager
def unwind_on_signals() -> Iterator[list[int]]:
    """Unwind the block on SIGTERM as on Ctrl-C, so that it leaves nothing half-written.

    Yields the list of the SIGTERMs that have come; the block sees the list grow. After the block,
    SIGTERM is handled as before.

    Raises:
        SystemExit: in the block, on SIGTERM, with the exit status.
    """
    arrived: list[int] = []

    def terminate(number: int, _frame: FrameType | None) -> NoReturn:
        if not arrived:
            # Not print: the signal may have interrupted one, and buffers are not reentrant.
            os.write(_STDERR, b"edgeseg: terminated\n")
        arrived.append(number)
        sys.exit(SIGNALLED + number)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        with _send_lost_signals_again():
            yield arrived
    finally:
        # None stands for a handler that was not installed from Python; it cannot be set again.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@contextmanager
def _send_lost_signals_again() -> Iterator[None]:
    """Send a signal again if it came in a destructor, where Python only reports the exception.

    After the block no signal is sent any more: this process may go on with other work.
    """
    report = sys.unraisablehook
    signals = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}
    timers: list[Timer] = []

    def report_or_send(lost: sys.UnraisableHookArgs) -> None:
        number = signals.get(lost.exc_type)
        if number is None:
            report(lost)
            return
        timer = Timer(_AGAIN_S, os.kill, (os.getpid(), number))
        timer.daemon = True
        timers.append(timer)
        timer.start()

    sys.unraisablehook = report_or_send
    try:
        yield
    finally:
        sys.unraisablehook = report
        for timer in timers:
            timer.cancel()


@contextmanager
def end_on_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` on SIGINT and SIGTERM; a second Ctrl-C interrupts as usual."""
    interrupted = signal.getsignal(signal.SIGINT)
    terminated = signal.getsignal(signal.SIGTERM)

    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, interrupted)
        end()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, terminated)
