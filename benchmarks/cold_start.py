"""How long a new process takes to its first mask, and how much memory it needs.

    python benchmarks/cold_start.py BUNDLE [--source SOURCE] [--rounds 7]

Times `edgeseg --help`, and `edgeseg run BUNDLE` until the line of its first frame arrives. The
source is the bundle's first golden frame unless another is named. The peak is the resident set
size of the whole run, by the kernel's count.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from alternating import report

EDGESEG = [sys.executable, "-m", "edgeseg"]


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--source")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    source = options.source or str(options.bundle / "golden" / "frame_0.png")
    helps, firsts, peaks = [], [], []
    for _ in range(options.rounds):
        begun = time.perf_counter()
        subprocess.run([*EDGESEG, "--help"], check=True, stdout=subprocess.DEVNULL)
        helps.append(time.perf_counter() - begun)
        first, peak = first_mask(options.bundle, source)
        firsts.append(first)
        peaks.append(peak)
    report(
        "cold start",
        rounds=options.rounds,
        help_s=round(float(np.median(helps)), 3),
        first_mask_s=round(float(np.median(firsts)), 3),
        peak_rss_mb=round(max(peaks), 1),
    )


def first_mask(bundle: Path, source: str) -> tuple[float, float]:
    """Seconds to the first line, and the peak resident set in MB."""
    command = [*EDGESEG, "run", str(bundle), "--source", source, "--jsonl", "-", "--frames", "30"]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        elapsed = time.perf_counter() - begun
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{' '.join(command)} failed"
    return elapsed, usage.ru_maxrss / 1024  # KiB on Linux


if __name__ == "__main__":
    main()
