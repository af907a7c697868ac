"""How much memory a bundle's variant takes, in a process of its own that does nothing else.

python -m edgeseg.verification.footprint FOLDER VARIANT COMPUTE HEIGHT WIDTH
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgeseg.bundle import Bundle, open_bundle
from edgeseg.errors import BackendError
from edgeseg.manifest import VariantInfo
from edgeseg.runtime.segmenter import Segmenter

__all__ = ["peak_memory_mb"]

_FRAMES: Final = 3


def peak_memory_mb(bundle: Bundle, variant: VariantInfo, *, height: int, width: int) -> float:
    """The peak of a fresh process that segments frames of a size, in MB (10^6 bytes).

    Raises:
        BackendError: the process fails.
    """
    # The float variant that a bundle is compared with may be another's file in FP32.
    name = next(v.name for v in bundle.manifest.variants if v.file == variant.file)
    arguments = [str(bundle.folder.resolve()), name, variant.compute, str(height), str(width)]
    command = [sys.executable, "-m", "edgeseg.verification.footprint", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BackendError(f"the memory of {variant.name} could not be measured: {reason}")
    return float(done.stdout)


def _main(folder: str, name: str, compute: str, height: str, width: str) -> None:
    bundle = open_bundle(Path(folder))
    variant = next(v for v in bundle.manifest.variants if v.name == name)
    frame = np.random.default_rng(0).integers(0, 256, (int(height), int(width), 3), np.uint8)
    with Segmenter(bundle, variant=msgspec.structs.replace(variant, compute=compute)) as segmenter:
        for _ in range(_FRAMES):
            segmenter.segment(frame)
    sys.stdout.write(f"{_peak_bytes() / 1e6:.1f}\n")


def _peak_bytes() -> int:
    """Of this program alone: getrusage's figure begins with that of the process that forked it."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    except (OSError, StopIteration):  # no Linux
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    _main(*sys.argv[1:])
