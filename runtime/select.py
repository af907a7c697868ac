"""Which of a bundle's variants runs here: each is proved on the golden frames and timed.

A bundle says which variant was fastest where it was made. On a machine with other instructions, or
with another version of the engine, the answer may be another, or a variant may compute wrongly; so
it is found out once and remembered in the user's cache, by the bundle's hash and the machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from edgeseg.accuracy.metrics import pixel_agreement
from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError, GateMissedError
from edgeseg.files.whole import write_whole
from edgeseg.images import read_image, read_mask
from edgeseg.machine.cache import find_cache_folder
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.jetson import read_jetson, read_state
from edgeseg.machine.packages import find_version
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.backend import Backend, load_runner, open_backend
from edgeseg.runtime.golden import GOLDEN_SLACK
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import SAME_SPEED, alternate, order_by_speed
from edgeseg.targets import find_target

__all__ = ["Built", "build", "recall_variant", "choose_variant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One variant on this machine. `latency_ms` is a whole frame's; `fault` why it is out."""

    variant: str
    precision: str
    agreement: float | None = None
    latency_ms: float | None = None
    fault: str | None = None


def choose_variant(bundle: Bundle, *, progress: Progress = SILENT) -> VariantInfo:
    """The variant to run on this machine: the chosen one where the bundle was made, else built.

    Raises:
        GateMissedError: no variant works here.
        BackendError: the target's engine is not installed.
    """
    why = _explain_elsewhere(bundle)
    if why is None:
        slow = _explain_slow(bundle)
        if slow is not None:
            progress.say(slow)
        return bundle.chosen
    name = recall_variant(bundle)
    if name is None:
        several = len(bundle.manifest.variants) > 1
        task = "proving and timing the bundle's variants" if several else "proving the bundle"
        progress.say(f"{why}: {task}")
        name = build(bundle, progress=progress, timed=several)[0].variant
    return next(variant for variant in bundle.manifest.variants if variant.name == name)


def _explain_elsewhere(bundle: Bundle) -> str | None:
    """Why what held where the bundle was made need not hold here; None where it does.

    Where nobody knows the processor's features, they are not the same.
    """
    manifest, here = bundle.manifest, describe_machine()
    target = find_target(manifest.target)
    if target.on_device:
        return "a new device"
    there = manifest.machine
    if there is None or not here.features:
        return "nobody knows whether this is the CPU that it was made on"
    if (there.architecture, there.features) != (here.architecture, here.features):
        return "another CPU than it was made on"
    before, now = manifest.tools.get(target.engine), find_version(target.engine)
    if before != now:
        return f"{target.engine} {now} is here, and it was made with {before or 'none'}"
    return None


def _explain_slow(bundle: Bundle) -> str | None:
    """A line where INT8 was asked for, and a float variant was as fast on such a machine."""
    chosen = bundle.chosen
    floats = [v for v in bundle.manifest.variants if v.precision != "int8" and v.latency_ms]
    if chosen.precision != "int8" or chosen.latency_ms is None or not floats:
        return None
    best = min(floats, key=lambda variant: variant.latency_ms or 0.0)
    assert best.latency_ms is not None, "it was timed"
    if chosen.latency_ms < (1 - SAME_SPEED) * best.latency_ms:
        return None
    return (
        f"{chosen.name} is no faster than {best.name} here: {chosen.latency_ms:.1f} and "
        f"{best.latency_ms:.1f} ms when the bundle was made"
    )


def build(bundle: Bundle, *, progress: Progress = SILENT, timed: bool = True) -> list[Built]:
    """Prove and time every variant here, the fastest first, and remember it.

    Those that fail the golden frames are out by name; what passes is timed in turns, whole frames
    of the camera's size, for what an engine leaves to be done counts too. Of equal speeds the one
    that agrees best is the first. A variant that stands in for another is tried only where the
    other's engine cannot be built.

    Raises:
        GateMissedError: none works here; the message says why of each.
        BackendError: the target's engine is not installed.
    """
    memory = _find_memory(bundle)
    with ExitStack() as stack:
        results, working = _prove_all(bundle, progress, stack)
        if timed:
            results |= _add_times(bundle, results, working, progress)
    passed = [result for result in results.values() if result.fault is None]
    failed = [result for result in results.values() if result.fault is not None]
    if not passed:
        reasons = "; ".join(f"{result.variant}: {result.fault}" for result in failed)
        raise GateMissedError(f"no variant of {bundle.folder} works on this machine ({reasons})")
    ordered = [*_rank(passed), *failed]
    _remember(memory, ordered, progress)
    return ordered


def _prove_all(
    bundle: Bundle, progress: Progress, stack: ExitStack
) -> tuple[dict[str, Built], dict[str, Backend]]:
    """Every variant's result, and the engines of those that work; `stack` closes them."""
    results: dict[str, Built] = {}
    working: dict[str, Backend] = {}
    unbuilt: set[str] = set()
    for variant in bundle.manifest.variants:
        if variant.instead_of is not None and variant.instead_of not in unbuilt:
            continue
        backend, fault = _open(bundle, variant, progress)
        if backend is None:
            unbuilt.add(variant.name)
            result = Built(variant=variant.name, precision=variant.precision, fault=fault)
        else:
            stack.callback(backend.close)
            result = _prove(bundle, variant, backend)
            if result.fault is None:
                working[variant.name] = backend
        results[variant.name] = result
        if result.fault is not None:
            progress.say(f"{variant.name} is out: {result.fault}")
    return results, working


def _add_times(
    bundle: Bundle, results: Mapping[str, Built], working: Mapping[str, Backend], progress: Progress
) -> dict[str, Built]:
    """Those that work, timed; one that fails meanwhile is out."""
    timed: dict[str, Built] = {}
    for name, found in _time(bundle, working).items():
        if isinstance(found, str):
            progress.say(f"{name} is out: {found}")
            timed[name] = replace(results[name], agreement=None, fault=found)
        else:
            timed[name] = replace(results[name], latency_ms=found)
    return timed


def _rank(passed: Sequence[Built]) -> list[Built]:
    return order_by_speed(
        passed,
        speed=lambda result: 1 / (result.latency_ms or 1.0),
        agreement=lambda result: result.agreement or 0.0,
    )


def _open(
    bundle: Bundle, variant: VariantInfo, progress: Progress
) -> tuple[Backend | None, str | None]:
    try:
        return open_backend(bundle, variant=variant, progress=progress), None
    except BackendError as error:
        return None, str(error)


def _prove(bundle: Bundle, variant: VariantInfo, backend: Backend) -> Built:
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


def _time(bundle: Bundle, backends: Mapping[str, Backend]) -> dict[str, float | str]:
    """Median milliseconds of a whole frame through each, in turns; or why one failed meanwhile."""
    spec = bundle.manifest.input
    frame = read_image(bundle.path(bundle.manifest.golden[0].frame))
    faults: dict[str, float | str] = {}

    def segment(name: str) -> None:
        if name not in faults:
            try:
                segment_frame(backends[name], spec, frame)
            except BackendError as error:
                faults[name] = str(error)

    times = alternate({name: partial(segment, name) for name in backends})
    return {name: float(np.median(row)) for name, row in times.items()} | faults


def _find_memory(bundle: Bundle) -> Path:
    """Where the answer lies: another bundle, machine or engine is another question."""
    manifest = (bundle.folder / "manifest.sha256").read_bytes()
    engine = load_runner(bundle.manifest.target).identity()
    text = repr((describe_machine(), engine)).encode()
    key = hashlib.sha256(manifest + text).hexdigest()[:24]
    return find_cache_folder() / "builds" / f"{key}.json"


def recall_variant(bundle: Bundle) -> str | None:
    """The variant that was fastest here, or None."""
    try:
        content = json.loads(_find_memory(bundle).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    variant = content.get("variant") if isinstance(content, dict) else None
    return next((v.name for v in bundle.manifest.variants if v.name == variant), None)


def _remember(path: Path, results: Sequence[Built], progress: Progress) -> None:
    """The choice, with all that was measured and how the device was set.

    A cache that cannot be written costs a repetition, and is said.
    """
    content = {
        "variant": results[0].variant,
        "results": [asdict(result) for result in results],
        "device": asdict(read_jetson()) | asdict(read_state()),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as partial_path:
            partial_path.write_text(json.dumps(content), "utf-8")
    except OSError as error:
        progress.say(
            f"what was found could not be kept in {path.parent} ({error.strerror}), so every run "
            f"proves again; set XDG_CACHE_HOME to a folder that can be written"
        )
