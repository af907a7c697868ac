"""Measures the memory of a bundle's variant, in a process that does nothing else."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.errors import BackendError
from edgeseg.runtime.backends.backend import name_device
from edgeseg.runtime.backends.placing import place_variant
from edgeseg.runtime.segmenter import Segmenter

__all__ = ["measure_peak_mb", "tell_peak"]

_FRAMES: Final = 3
_TIMEOUT_S: Final = 1800
# The first argument is the folder of this process's edgeseg, which may not be installed.
_CHILD: Final = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from edgeseg.verification.footprint import tell_peak; tell_peak(*sys.argv[2:])"
)


def measure_peak_mb(bundle: Bundle, variant: VariantInfo, *, height: int, width: int) -> float:
    """Measure a fresh process that segments frames: its peak memory in MB (10^6 bytes).

    Raises:
        BackendError: the process fails.
    """
    # The float variant of a comparison may be another variant's file, computed in FP32.
    name = next(v.name for v in bundle.manifest.variants if v.file == variant.file)
    root = str(Path(__file__).absolute().parents[2])
    placed = [variant.compute, name_device(bundle.manifest.target, variant)]
    arguments = [str(bundle.folder.resolve()), name, *placed, str(height), str(width)]
    try:
        told = _read_figure([sys.executable, "-c", _CHILD, root, *arguments])
    except BackendError as error:
        raise BackendError(f"the memory of {variant.name} could not be measured: {error}") from None
    return float(told)


def _read_figure(command: list[str]) -> str:
    """Run `command` and read the figure that it prints, whatever else an engine prints.

    Python looks for modules in the working folder first, and that folder may hold anybody's files.
    So the process starts in an empty folder.

    Raises:
        BackendError: the process fails; the message says why.
    """
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                command,
                cwd=empty,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BackendError(f"no end after {_TIMEOUT_S} seconds") from None
    if done.returncode < 0:
        number = -done.returncode
        raise BackendError(
            f"the process was ended by signal {number} ({signal.strsignal(number)}); is there "
            f"enough memory?"
        )
    found = re.search(r"^peak of (\d+\.\d) MB$", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise BackendError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return found[1]


def tell_peak(folder: str, name: str, compute: str, device: str, height: str, width: str) -> None:
    """Segment some frames in this process, on a device by its name, and print its peak."""
    bundle = open_bundle(Path(folder))
    variant = next(v for v in bundle.manifest.variants if v.name == name)
    variant = place_variant(msgspec.structs.replace(variant, compute=compute), device)
    shape = (int(height), int(width), bundle.manifest.input.channels)
    frame = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with Segmenter(bundle, variant=variant) as segmenter:
        for _ in range(_FRAMES):
            segmenter.segment(frame)
    # The line break separates the figure from whatever was printed before.
    sys.stdout.write(f"\npeak of {_read_peak_bytes() / 1e6:.1f} MB\n")


def _read_peak_bytes() -> int:
    """Read the peak of this program. getrusage would include the process that forked it."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    except (OSError, StopIteration):  # not Linux
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
