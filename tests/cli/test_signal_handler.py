"""Signals end a command, and the process that ran it may go on with other work."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from edgeseg.cli import main as cli
from edgeseg.cli.signals import unwind_on_signals
from edgeseg.errors import MissingPackageError


class _Busy:
    """What a buffered stream does when its own write is interrupted by one more."""

    def write(self, _text: str) -> int:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    def flush(self) -> None: ...


class _Stubborn:
    """An object whose destructor is interrupted: Python reports the exception, and goes on."""

    def __del__(self) -> None:
        raise KeyboardInterrupt


def test_a_handler_prints_past_the_buffer(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A signal may come while a line is being printed; a buffer must not be entered twice."""
    monkeypatch.setattr(sys, "stderr", _Busy())
    with pytest.raises(SystemExit) as end, unwind_on_signals():
        signal.raise_signal(signal.SIGTERM)
    assert end.value.code == 128 + signal.SIGTERM
    assert capfd.readouterr().err == "edgeseg: terminated\n"


def test_a_package_that_seems_missing_after_a_signal_is_no_news(
    edgeseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that SIGTERM breaks off fails, and its package is taken for absent."""

    def import_nothing(_given: object) -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            raise MissingPackageError("torch", purpose="an export", command="pip") from None
        return 0

    monkeypatch.setattr(cli, "_run", import_nothing)
    outcome = edgeseg("inspect", "b0")
    assert (outcome.status, outcome.err) == (128 + signal.SIGTERM, "")


def test_a_command_leaves_no_handler_and_no_signal_behind(edgeseg) -> None:
    before = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    with pytest.raises(SystemExit), unwind_on_signals():
        signal.raise_signal(signal.SIGTERM)
    outcome = edgeseg("inspect", "nothing.pth")
    assert outcome.status == 1
    assert "nothing.pth" in outcome.err
    assert (signal.getsignal(signal.SIGTERM), sys.unraisablehook) == before


def test_a_signal_is_not_sent_again_after_the_command_ended() -> None:
    arrived: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: arrived.append(number))
    try:
        with unwind_on_signals():
            stubborn = _Stubborn()
            del stubborn
        time.sleep(0.3)  # three times as long as a signal waits to be sent again
    finally:
        signal.signal(signal.SIGINT, before)
    assert arrived == []
