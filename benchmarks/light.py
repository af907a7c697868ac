"""What edgeseg costs a device: installed size, start-up, first mask, memory.

    python benchmarks/light.py BUNDLE [--extras openvino,opencv] [--source SOURCE] [--rounds 7]

Installs the checkout into a fresh environment of this Python, with the extras named, and times
there: `import edgeseg` (over a bare interpreter), `edgeseg --help`, and `edgeseg run BUNDLE` until
the line of its first frame arrives. The source is the bundle's first golden frame unless another is
named. Sizes are of what pip installed, without pip itself; the peak is the resident set size of the
whole run, by the kernel's count.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from alternating import report

from edgeseg.bundle.store import open_bundle
from edgeseg.cli.scripts import run_script

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--extras", default="")
    parser.add_argument("--source")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    open_bundle(options.bundle)  # before all is installed
    source = options.source or str(options.bundle / "golden" / "frame_0.png")
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder), options.extras)
        bare, imports, helps, firsts, peaks = [], [], [], [], []
        for _ in range(options.rounds):
            bare.append(time_command([python, "-c", "pass"]))
            imports.append(time_command([python, "-c", "import edgeseg"]))
            helps.append(time_command([python, "-m", "edgeseg", "--help"]))
            first, peak = time_first_mask(python, options.bundle, source)
            firsts.append(first)
            peaks.append(peak)
        report(
            "light",
            extras=options.extras,
            python=sys.version.split()[0],
            rounds=options.rounds,
            installed_mb=measure_sizes(Path(folder)),
            import_s=round(float(np.median(imports) - np.median(bare)), 3),
            help_s=round(float(np.median(helps)), 3),
            first_mask_s=round(float(np.median(firsts)), 3),
            peak_rss_mb=round(max(peaks), 1),
        )


def install(folder: Path, extras: str) -> str:
    """An environment's interpreter, with the checkout installed as from its wheel."""
    # From a copy: setuptools leaves build/ and *.egg-info beside what it builds.
    ignored = shutil.ignore_patterns(".*", "out", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=ignored)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    python = str(folder / "env" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt")]
    what = f"{folder / 'source'}[{extras}]" if extras else str(folder / "source")
    subprocess.run([*pip, what], check=True, stderr=subprocess.DEVNULL)
    return python


def measure_sizes(folder: Path) -> dict[str, float]:
    """Megabytes in all, and of the largest packages."""
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    found = {
        path.name: sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
        for path in packages.iterdir()
        if path.name.split("-")[0] not in {"pip", "setuptools"}
    }
    largest = sorted(found, key=lambda name: -found[name])[:6]
    return {"all": round(sum(found.values()), 1), **{n: round(found[n], 1) for n in largest}}


def time_command(command: list[str]) -> float:
    """How long a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def time_first_mask(python: str, bundle: Path, source: str) -> tuple[float, float]:
    """Seconds to the first line, and the peak resident set in MB."""
    command = [python, "-m", "edgeseg", "run", str(bundle), "--source", source, "--jsonl", "-"]
    begun = time.perf_counter()
    with subprocess.Popen(
        [*command, "--frames", "30"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        elapsed = time.perf_counter() - begun
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{' '.join(command)} failed"
    return elapsed, usage.ru_maxrss / 1024  # KiB on Linux


if __name__ == "__main__":
    run_script(main)
