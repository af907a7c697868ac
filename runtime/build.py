"""Which of a bundle's variants runs here: each is proved on the golden frames and timed.

A bundle says which variant was fastest where it was made. On a machine with other instructions the
answer may be another, or a variant may compute wrongly; so it is found out once and remembered in
the user's cache, by the bundle's hash and the machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.bundle import Bundle
from edgeseg.cache import cache_folder
from edgeseg.errors import BackendError, GateMissedError
from edgeseg.files import written_whole
from edgeseg.images import read_image, read_mask
from edgeseg.manifest import VariantInfo
from edgeseg.metrics import pixel_agreement
from edgeseg.packages import installed
from edgeseg.runtime.backend import NOBODY, Backend, Watcher, open_backend
from edgeseg.runtime.device import jetson, state
from edgeseg.runtime.machine import this_machine
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import alternate

__all__ = ["GOLDEN_SLACK", "ON_DEVICE", "Built", "build", "variant_here"]

# Points that a golden frame's agreement may fall below what was recorded at export: another
# machine's rounding moves single pixels at boundaries, a broken engine moves many.
GOLDEN_SLACK: Final = 0.5
# The target whose engines are made, and chosen from, where they run.
ON_DEVICE: Final = "jetson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One variant on this machine. `latency_ms` is a whole frame's; `fault` why it is out."""

    variant: str
    precision: str
    agreement: float | None = None
    latency_ms: float | None = None
    fault: str | None = None


def variant_here(bundle: Bundle, *, watcher: Watcher = NOBODY) -> VariantInfo:
    """The variant to run on this machine: the chosen one where the bundle was made, else built.

    Raises:
        GateMissedError: no variant works here.
        BackendError: the target's engine is not installed.
    """
    manifest = bundle.manifest
    if manifest.target != ON_DEVICE and (
        len(manifest.variants) == 1
        or (manifest.machine is not None and manifest.machine.features == this_machine().features)
    ):
        return bundle.chosen
    remembered = _recall(bundle)
    if remembered is None:
        where = (
            "a new device" if manifest.target == ON_DEVICE else "another CPU than it was made on"
        )
        watcher.tell(f"{where}: proving and timing the bundle's variants once")
        remembered = build(bundle, watcher=watcher)[0].variant
    return next(variant for variant in manifest.variants if variant.name == remembered)


def build(bundle: Bundle, *, watcher: Watcher = NOBODY) -> list[Built]:
    """Prove and time every variant here, the fastest first, and remember it.

    Those that fail the golden frames are out by name; what passes is timed in turns, whole frames
    of the camera's size, for what an engine leaves to be done counts too. A variant that stands in
    for another is tried only where the other's engine cannot be built.

    Raises:
        GateMissedError: none works here; the message says why of each.
        BackendError: the target's engine is not installed.
    """
    memory = _memory(bundle)
    with ExitStack() as stack:
        working: dict[str, Backend] = {}
        results: dict[str, Built] = {}
        unbuilt: set[str] = set()
        for variant in bundle.manifest.variants:
            if variant.instead_of is not None and variant.instead_of not in unbuilt:
                continue
            backend, fault = _opened(bundle, variant, watcher)
            if backend is None:
                unbuilt.add(variant.name)
                result = Built(variant=variant.name, precision=variant.precision, fault=fault)
            else:
                stack.callback(backend.close)
                result = _proved(bundle, variant, backend)
                if result.fault is None:
                    working[variant.name] = backend
            results[variant.name] = result
            if result.fault is not None:
                watcher.tell(f"{variant.name} is out: {result.fault}")
        for name, milliseconds in _time(bundle, working).items():
            results[name] = replace(results[name], latency_ms=milliseconds)
    ordered = sorted(results.values(), key=lambda r: r.latency_ms or float("inf"))
    if not working:
        reasons = "; ".join(f"{r.variant}: {r.fault}" for r in ordered)
        raise GateMissedError(f"no variant of {bundle.folder} works on this machine ({reasons})")
    _remember(memory, ordered)
    return ordered


def _opened(
    bundle: Bundle, variant: VariantInfo, watcher: Watcher
) -> tuple[Backend | None, str | None]:
    try:
        return open_backend(bundle, variant=variant, watcher=watcher), None
    except BackendError as error:
        return None, str(error)


def _proved(bundle: Bundle, variant: VariantInfo, backend: Backend) -> Built:
    """Whether its masks of the golden frames agree as they did where it was made."""
    result = Built(variant=variant.name, precision=variant.precision)
    worst = 100.0
    for golden in bundle.manifest.golden:
        frame = read_image(bundle.path(golden.frame))
        try:
            mask = segment_frame(backend, bundle.manifest.input, frame).mask
        except BackendError as error:  # it fails, or its logits are no numbers
            return replace(result, fault=str(error))
        found = pixel_agreement(read_mask(bundle.path(golden.mask)), mask)
        worst = min(worst, found)
        least = golden.agreement[variant.name] - GOLDEN_SLACK
        if not found >= least:
            fault = f"{golden.frame} agrees in {found:.2f} % of the pixels, not {least:.2f}"
            return replace(result, fault=fault)
    return replace(result, agreement=worst)


def _time(bundle: Bundle, backends: Mapping[str, Backend]) -> dict[str, float]:
    """Median milliseconds of a whole frame through each, in turns."""
    spec = bundle.manifest.input
    frame = read_image(bundle.path(bundle.manifest.golden[0].frame))
    calls = {name: partial(segment_frame, b, spec, frame) for name, b in backends.items()}
    return {name: float(np.median(row)) for name, row in alternate(calls).items()}


def _memory(bundle: Bundle) -> Path:
    """Where the answer lies: another bundle, machine or engine is another question."""
    manifest = (bundle.folder / "manifest.sha256").read_bytes()
    target = bundle.manifest.target
    if target == ON_DEVICE:
        from edgeseg.runtime.engines import built_for

        engine = repr(built_for())
    else:
        engine = f"{target} {installed(target)}"
    text = repr((this_machine(), engine)).encode()
    key = hashlib.sha256(manifest + text).hexdigest()[:24]
    return cache_folder() / "builds" / f"{key}.json"


def _recall(bundle: Bundle) -> str | None:
    """The variant that was fastest here, or None."""
    try:
        content = json.loads(_memory(bundle).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    variant = content.get("variant") if isinstance(content, dict) else None
    return variant if variant in {v.name for v in bundle.manifest.variants} else None


def _remember(path: Path, results: Sequence[Built]) -> None:
    """The choice, with all that was measured and how the device was set.

    A cache that cannot be written costs a repetition, nothing else.
    """
    content = {
        "variant": results[0].variant,
        "results": [asdict(result) for result in results],
        "device": asdict(jetson()) | asdict(state()),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial_path:
            partial_path.write_text(json.dumps(content), "utf-8")
    except OSError:
        return
