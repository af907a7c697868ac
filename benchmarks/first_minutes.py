"""Seconds that `make demo` takes after the install: to its first mask, and to its end.

    python benchmarks/first_minutes.py

Runs `tools/demo.py` with this Python in an empty folder, and hands on what it says on stderr. The
first mask is there when the overlay that shows it is written.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from alternating import report

from edgeseg.cli.scripts import run_script

DEMO = Path(__file__).parents[1] / "tools" / "demo.py"
FIRST_MASK = "written: out/demo/overlay.png"


def main() -> None:
    """Print one JSON line.

    Raises:
        CalledProcessError: the demo fails.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.parse_args()
    command = [sys.executable, str(DEMO)]
    first = None
    begun = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as demo,
    ):
        assert demo.stdout is not None
        for line in demo.stdout:
            sys.stderr.write(line)
            if first is None and line.strip() == FIRST_MASK:
                first = time.perf_counter() - begun
    whole = time.perf_counter() - begun
    if demo.returncode:
        raise subprocess.CalledProcessError(demo.returncode, command)
    assert first is not None, "the demo says when its first mask is written"
    report("first_minutes", first_mask_s=round(first, 1), whole_s=round(whole, 1))


if __name__ == "__main__":
    run_script(main)
