"""Which of a bundle's variants runs here: each is proved on the golden frames and timed.

A bundle says which variant was fastest where it was made. On a machine with other instructions the
answer may be another, or a variant may compute wrongly; so it is found out once and remembered in
the user's cache, by the bundle's hash and the machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.bundle import Bundle
from edgeseg.cache import cache_folder
from edgeseg.errors import BackendError
from edgeseg.files import written_whole
from edgeseg.images import read_image, read_mask
from edgeseg.manifest import VariantInfo
from edgeseg.metrics import pixel_agreement
from edgeseg.packages import installed
from edgeseg.pixels import to_input
from edgeseg.runtime.backend import Backend, open_backend
from edgeseg.runtime.machine import this_machine
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import alternate

__all__ = ["GOLDEN_SLACK", "Built", "build", "variant_here"]

# Points that a golden frame's agreement may fall below what was recorded at export: another
# machine's rounding moves single pixels at boundaries, a broken engine moves many.
GOLDEN_SLACK: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One variant on this machine. `latency_ms` is the engine's alone; `fault` why it is out."""

    variant: str
    precision: str
    agreement: float | None = None
    latency_ms: float | None = None
    fault: str | None = None


def variant_here(bundle: Bundle, *, tell: Callable[[str], None]) -> VariantInfo:
    """The variant to run on this machine: the chosen one where the bundle was made, else built.

    Raises:
        BackendError: no variant works here.
    """
    made_on = bundle.manifest.machine
    if len(bundle.manifest.variants) == 1 or (
        made_on is not None and made_on.features == this_machine().features
    ):
        return bundle.chosen
    remembered = _recall(bundle)
    if remembered is None:
        tell("another CPU than the bundle was made on: proving and timing its variants once")
        remembered = build(bundle)[0].variant
    return next(v for v in bundle.manifest.variants if v.name == remembered)


def build(bundle: Bundle) -> list[Built]:
    """Prove and time every variant here, the fastest first, and remember it.

    Raises:
        BackendError: none works here; the message says why of each.
    """
    with ExitStack() as stack:
        working: dict[str, Backend] = {}
        results: dict[str, Built] = {}
        for variant in bundle.manifest.variants:
            result, backend = _prove(bundle, variant)
            results[variant.name] = result
            if backend is not None:
                stack.callback(backend.close)
                working[variant.name] = backend
        for name, milliseconds in _time(bundle, working).items():
            results[name] = replace(results[name], latency_ms=milliseconds)
    ordered = sorted(results.values(), key=lambda r: r.latency_ms or float("inf"))
    if not working:
        reasons = "; ".join(f"{r.variant}: {r.fault}" for r in ordered)
        raise BackendError(f"no variant of {bundle.folder} works on this machine ({reasons})")
    _remember(bundle, ordered[0].variant)
    return ordered


def _prove(bundle: Bundle, variant: VariantInfo) -> tuple[Built, Backend | None]:
    """Whether its masks of the golden frames agree as they did where it was made."""
    result = Built(variant=variant.name, precision=variant.precision)
    try:
        backend = open_backend(bundle, variant=variant)
    except BackendError as error:
        return replace(result, fault=str(error)), None
    worst = 100.0
    for golden in bundle.manifest.golden:
        frame = read_image(bundle.path(golden.frame))
        mask = segment_frame(backend, bundle.manifest.input, frame).mask
        found = pixel_agreement(read_mask(bundle.path(golden.mask)), mask)
        worst = min(worst, found)
        least = golden.agreement[variant.name] - GOLDEN_SLACK
        if not found >= least:
            backend.close()
            fault = f"{golden.frame} agrees in {found:.2f} % of the pixels, not {least:.2f}"
            return replace(result, fault=fault), None
    return replace(result, agreement=worst), backend


def _time(bundle: Bundle, backends: dict[str, Backend]) -> dict[str, float]:
    """Median milliseconds of each, in turns."""
    spec = bundle.manifest.input
    frame = to_input(read_image(bundle.path(bundle.manifest.golden[0].frame)), spec)
    return {name: float(np.median(row)) for name, row in alternate(backends, frame).items()}


def _memory(bundle: Bundle) -> Path:
    """Where the answer lies: another bundle, machine or engine is another question."""
    manifest = (bundle.folder / "manifest.sha256").read_bytes()
    machine = this_machine()
    engine = f"{bundle.manifest.target} {installed(bundle.manifest.target)}"
    key = hashlib.sha256(manifest + repr((machine, engine)).encode()).hexdigest()[:24]
    return cache_folder() / "builds" / f"{key}.json"


def _recall(bundle: Bundle) -> str | None:
    """The variant that was fastest here, or None."""
    try:
        content = json.loads(_memory(bundle).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    variant = content.get("variant") if isinstance(content, dict) else None
    return variant if variant in {v.name for v in bundle.manifest.variants} else None


def _remember(bundle: Bundle, variant: str) -> None:
    """A cache that cannot be written costs a repetition, nothing else."""
    path = _memory(bundle)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.write_text(json.dumps({"variant": variant}), "utf-8")
    except OSError:
        return
