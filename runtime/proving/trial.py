"""Tries a variant on a device in a process of its own, with a time limit.

A driver may compute wrongly, differ from run to run, hang while it compiles, or end its process. So
a device other than the engine's first is tried where none of that can hold up or end a run.

    python -m edgeseg.runtime.proving.trial BUNDLE TITLE     prints the verdict as one line of JSON
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.errors import BackendError, DeviceError
from edgeseg.pixels import ClassMap
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.backend import Backend, load_runner, open_backend
from edgeseg.runtime.backends.checked import REMEDY
from edgeseg.runtime.backends.placing import AUTO, PlacedVariant, place_variants
from edgeseg.runtime.golden import read_golden_frame, replay_golden
from edgeseg.runtime.segmenter import segment_frame

__all__ = ["Verdict", "place_all", "prove", "try_apart", "try_here"]

# An NPU compiles for tens of seconds, an integrated GPU for some.
LIMIT_S: Final = 240.0
# Of the same frame, two masks of a working device differ in no more of the pixels, in %.
_STEADY: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a trial found: the lowest agreement of a golden frame, in %, or what is wrong.

    `absent` says that the device itself is what does not work, whatever the variant.
    """

    agreement: float | None = None
    fault: str | None = None
    absent: bool = False


def place_all(bundle: Bundle, device: str = AUTO) -> list[PlacedVariant]:
    """Place the bundle's variants on the devices of a name that its engine offers here.

    Raises:
        DeviceError: there is none.
    """
    devices = load_runner(bundle.manifest.target).list_devices()
    return list(place_variants(bundle.manifest.variants, devices, device))


def try_apart(bundle: Bundle, variant: PlacedVariant, *, limit_s: float = LIMIT_S) -> Verdict:
    """Try a variant in a process of its own, which is killed after `limit_s` seconds."""
    command = [sys.executable, "-m", __name__, str(bundle.folder.absolute()), variant.title]
    try:
        ended = subprocess.run(command, capture_output=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return Verdict(fault=f"it did not compile and compute within {limit_s:g} s")
    try:
        *_, line = ended.stdout.decode(errors="replace").splitlines()
        return Verdict(**json.loads(line))
    except (ValueError, TypeError):
        return Verdict(fault=f"its process ended {_describe_end(ended.returncode)}")


def try_here(bundle: Bundle, variant: PlacedVariant, *, progress: Progress = SILENT) -> Verdict:
    """Try a variant in this process: open it, prove it, and see whether its masks stay the same."""
    try:
        backend = open_backend(bundle, variant=variant, progress=progress)
    except BackendError as error:
        return Verdict(fault=str(error), absent=isinstance(error, DeviceError))
    with closing(backend):
        verdict = prove(bundle, variant, backend)
        if verdict.fault is None:
            fault = _find_unsteadiness(bundle, backend)
            return verdict if fault is None else Verdict(fault=fault)
        return verdict


def prove(bundle: Bundle, variant: PlacedVariant, backend: Backend) -> Verdict:
    """Check whether the golden frames' masks agree as they did where the bundle was made."""
    spec = bundle.manifest.input
    worst = 100.0
    try:
        for one in replay_golden(bundle, variant, lambda f: segment_frame(backend, spec, f).mask):
            worst = min(worst, one.agreement)
            if not one.passed:
                return Verdict(
                    fault=f"{one.frame} agrees in {one.agreement:.2f} % of the pixels, "
                    f"not {one.least:.2f}"
                )
    except BackendError as error:  # the engine fails, or its logits are not finite
        # Another export changes nothing about a device; `build` has a remedy of its own.
        return Verdict(fault=str(error).removesuffix(f"; {REMEDY}"))
    return Verdict(agreement=worst)


def _find_unsteadiness(bundle: Bundle, backend: Backend) -> str | None:
    """Explain where the same frame gives another mask the next time; None where it does not."""
    spec = bundle.manifest.input
    frames = [read_golden_frame(bundle, index) for index in range(len(bundle.manifest.golden))]

    def segment_all() -> Sequence[ClassMap]:
        return [segment_frame(backend, spec, frame).mask for frame in frames]

    try:
        first, second = segment_all(), segment_all()
    except BackendError as error:
        return str(error)
    for golden, one, other in zip(bundle.manifest.golden, first, second, strict=True):
        differ = 100 * float(np.mean(one != other))
        if differ > _STEADY:
            return f"two masks of {golden.frame} differ in {differ:.2f} % of the pixels"
    return None


def _describe_end(status: int) -> str:
    if status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


def main() -> None:
    """Try the variant that the command line names, and print the verdict."""
    folder, title = sys.argv[1:]
    bundle = open_bundle(Path(folder))
    variant = next(one for one in place_all(bundle) if one.title == title)
    sys.stdout.write(json.dumps(asdict(try_here(bundle, variant))) + "\n")


if __name__ == "__main__":
    main()
