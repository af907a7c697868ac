"""Seconds from opening an OpenVINO bundle to its first mask, with compiled models kept and without.

    python benchmarks/start.py BUNDLE [--rounds 9]

Each start is a process of its own, with the bundle's choice of a variant already made, and the two
kinds take turns. Before a cold one the compiled models are removed. Importing OpenVINO counts, and
starting Python and reading the frame do not. The cache is a temporary one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from alternating import compare, compute_medians, report

from edgeseg.bundle.store import open_bundle
from edgeseg.cli.scripts import check_inputs, run_script

_START: Final = """
import sys, time
from pathlib import Path
import edgeseg
from edgeseg.bundle.store import open_bundle
from edgeseg.runtime.golden import read_golden_frame

frame = read_golden_frame(open_bundle(Path(sys.argv[1])))
begun = time.perf_counter()
with edgeseg.open(sys.argv[1], device="cpu") as segmenter:
    segmenter.segment(frame)
    print(time.perf_counter() - begun)
"""


def main() -> None:
    """Print one JSON line.

    Raises:
        BundleError: there is no bundle.
        CalledProcessError: a start fails.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, help="a bundle for OpenVINO")
    parser.add_argument("--rounds", type=int, default=9, help="starts of each kind")
    arguments = parser.parse_args()
    check_inputs(parser, arguments.bundle)
    manifest = open_bundle(arguments.bundle).manifest
    if manifest.target != "openvino":
        parser.error(f"{arguments.bundle} is for {manifest.target}; give a bundle for openvino")
    with tempfile.TemporaryDirectory() as cache:
        models = Path(cache, "edgeseg", "models")
        start(arguments.bundle, cache)  # chooses the variant, and warms the disk's cache
        rows = []
        for _ in range(arguments.rounds):
            shutil.rmtree(models)
            rows.append([start(arguments.bundle, cache) for _ in ("cold", "warm")])
        (kept,) = models.glob("*.blob")
        megabytes = kept.stat().st_size / 1e6
    cold, warm = np.array(rows).T
    times = {"cold": cold, "warm": warm}
    report(
        "start",
        size=f"{manifest.input.height}x{manifest.input.width}",
        cores=os.cpu_count(),
        seconds=compute_medians(times),
        kept_mb=round(megabytes, 1),
        **compare(times, baseline="cold", ours="warm"),
    )


def start(bundle: Path, cache: str) -> float:
    """Start once in a new process; return its seconds to the first mask."""
    command = [sys.executable, "-c", _START, str(bundle)]
    done = subprocess.run(
        command,
        env=os.environ | {"XDG_CACHE_HOME": cache},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


if __name__ == "__main__":
    run_script(main)
