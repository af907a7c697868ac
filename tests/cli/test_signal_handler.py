"""What a command does on a signal, and what it leaves behind.

Each test has a process of its own: a signal that nobody handles would end the tests' process.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

HEAD = """
import signal, sys, time
import edgeseg.cli.main as cli
from edgeseg.cli.signals import unwind_on_signals
from edgeseg.errors import MissingPackageError

# A shell has its background jobs ignore Ctrl-C, `make test &` too.
signal.signal(signal.SIGINT, signal.default_int_handler)
"""

# A signal comes while a line is being printed: a buffer must not be entered twice.
PRINTS_PAST_THE_BUFFER = """
class Busy:
    def write(self, text):
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")
    def flush(self): ...

sys.stderr = Busy()
with unwind_on_signals():
    signal.raise_signal(signal.SIGTERM)
"""

# An import that SIGTERM breaks off fails, and its package is taken for absent.
SEEMS_TO_MISS_A_PACKAGE = """
def import_nothing(given):
    try:
        signal.raise_signal(signal.SIGTERM)
    except SystemExit:
        raise MissingPackageError("torch", purpose="an export", command="pip") from None
    return 0

cli._run = import_nothing
cli.run_command()
"""

LEAVES_NOTHING_BEHIND = """
before = signal.getsignal(signal.SIGTERM), sys.unraisablehook
try:
    with unwind_on_signals():
        signal.raise_signal(signal.SIGTERM)
except SystemExit:
    pass
sys.argv = ["edgeseg", "inspect", "nothing.pth"]
try:
    cli.run_command()
except SystemExit as end:
    assert end.code == 1
assert (signal.getsignal(signal.SIGTERM), sys.unraisablehook) == before
print("as before")
"""

# Python only reports what a destructor raises, and goes on.
SENDS_NOTHING_AFTERWARDS = """
class Stubborn:
    def __del__(self):
        raise KeyboardInterrupt

arrived = []
signal.signal(signal.SIGINT, lambda number, frame: arrived.append(number))
with unwind_on_signals():
    stubborn = Stubborn()
    del stubborn
time.sleep(0.3)  # three times as long as a signal waits to be sent again
assert not arrived, arrived
print("none")
"""

SENDS_IT_AGAIN = """
class Stubborn:
    def __del__(self):
        raise KeyboardInterrupt

with unwind_on_signals():
    stubborn = Stubborn()
    del stubborn
    try:
        time.sleep(20)
    except KeyboardInterrupt:
        print("again")
"""


@pytest.mark.parametrize(
    ("script", "status", "out", "err"),
    [
        (PRINTS_PAST_THE_BUFFER, 128 + signal.SIGTERM, "", "edgeseg: terminated\n"),
        (SEEMS_TO_MISS_A_PACKAGE, 128 + signal.SIGTERM, "", "edgeseg: terminated\n"),
        (LEAVES_NOTHING_BEHIND, 0, "as before\n", None),
        (SENDS_NOTHING_AFTERWARDS, 0, "none\n", ""),
        (SENDS_IT_AGAIN, 0, "again\n", ""),
    ],
    ids=["prints", "seems to miss a package", "leaves", "afterwards", "again"],
)
def test_a_signal(script: str, status: int, out: str, err: str | None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (status, out), done.stderr
    if err is None:
        assert "nothing.pth" in done.stderr
    else:
        assert done.stderr == err
