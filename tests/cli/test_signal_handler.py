"""A signal may come while a line is being printed, and a buffer is not to be entered twice."""

from __future__ import annotations

import signal
import sys

import pytest

from edgeseg.cli import main as cli


class _Busy:
    """What a buffered stream does when its own write is interrupted by one more."""

    def write(self, _text: str) -> int:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    def flush(self) -> None: ...


def test_a_handler_prints_past_the_buffer(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_signals", [])
    monkeypatch.setattr(sys, "stderr", _Busy())
    with pytest.raises(SystemExit) as end:
        cli._terminate(signal.SIGTERM, None)
    assert end.value.code == 128 + signal.SIGTERM
    assert capfd.readouterr().err == "edgeseg: terminated\n"
