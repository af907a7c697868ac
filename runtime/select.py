"""Selects the bundle's variant that runs here: proves each on the golden frames and times it.

A bundle says which variant was fastest where it was made. On a machine with other instructions or
devices, or with another version of the engine, another variant may be faster, or a variant may
compute wrongly. So all are tried once here, on each device that the engine offers. The user's cache
keeps the answer, by the bundle's hash and the machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError, DeviceError, GateMissedError
from edgeseg.files.whole import write_file
from edgeseg.machine.cache import find_cache_folder
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.jetson import read_jetson, read_state
from edgeseg.machine.packages import find_engine_version
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.backend import Backend, load_runner, open_backend
from edgeseg.runtime.backends.placing import PlacedVariant, place_variants
from edgeseg.runtime.golden import read_golden_frame, replay_golden
from edgeseg.runtime.gpu.lane import Lane
from edgeseg.runtime.proof import open_proven_path
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import SAME_SPEED, alternate, order_by_speed
from edgeseg.targets import find_target

__all__ = ["Built", "build", "recall_variant", "choose_variant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One variant on one device of this machine; `title` names both where there are several.

    `latency_ms` is for a whole frame. `fault` says why the variant cannot run here.
    """

    variant: str
    precision: str
    device: str
    title: str
    agreement: float | None = None
    latency_ms: float | None = None
    fault: str | None = None


def choose_variant(bundle: Bundle, *, progress: Progress = SILENT) -> VariantInfo:
    """Choose the variant to run: the bundle's own choice where it was made, else by `build`.

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
    known = recall_variant(bundle)
    if known is None:
        several = len(_place_all(bundle)) > 1
        task = "proving and timing the bundle's variants" if several else "proving the bundle"
        progress.say(f"{why}: {task}")
        title = build(bundle, progress=progress, timed=several)[0].title
        known = next(variant for variant in _place_all(bundle) if variant.title == title)
    return known


def _place_all(bundle: Bundle) -> list[PlacedVariant]:
    devices = load_runner(bundle.manifest.target).list_devices()
    return list(place_variants(bundle.manifest.variants, devices))


def _explain_elsewhere(bundle: Bundle) -> str | None:
    """Explain why the bundle's own choice may be wrong here; None where it holds.

    Unknown processor features count as different.
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
    first, *others = load_runner(manifest.target).list_devices()
    if others:
        return f"{' and '.join(others)} may be faster than {first}, where it was made"
    before, now = manifest.tools.get(target.engine), find_engine_version(target)
    if before != now:
        return f"{target.engine} {now} is here, and it was made with {before or 'none'}"
    return None


def _explain_slow(bundle: Bundle) -> str | None:
    """Say where INT8 was asked for but a float variant was as fast on such a machine."""
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
    """Prove and time every variant here; list the fastest first, and remember the result.

    A variant that fails the golden frames gets a `fault`. The others are timed in turns, on whole
    frames of the camera's size, because work outside the engine counts too. Where speeds are equal,
    the variant with the best agreement comes first. A variant that stands in for another is tried
    only where the other's engine cannot be built.

    Raises:
        GateMissedError: no variant works here; the message gives the reason for each.
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
        reasons = "; ".join(f"{result.title}: {result.fault}" for result in failed)
        raise GateMissedError(f"no variant of {bundle.folder} works on this machine ({reasons})")
    ordered = [*_rank(passed), *failed]
    _remember(memory, ordered, progress)
    return ordered


class _Working(NamedTuple):
    """An engine that passed, and the way of whole frames on its device, if it has one."""

    backend: Backend
    lane: Lane | None


def _prove_all(
    bundle: Bundle, progress: Progress, stack: ExitStack
) -> tuple[dict[str, Built], dict[str, _Working]]:
    """Prove every variant; return the results and the working engines, which `stack` closes."""
    results: dict[str, Built] = {}
    working: dict[str, _Working] = {}
    unbuilt: set[tuple[str | None, str]] = set()
    missing: set[str] = set()
    for variant in _place_all(bundle):
        stands_in = variant.instead_of is not None
        needless = stands_in and (variant.instead_of, variant.device) not in unbuilt
        if needless or variant.device in missing:
            continue
        try:
            backend = open_backend(bundle, variant=variant, progress=progress)
        except BackendError as error:
            unbuilt.add((variant.name, variant.device))
            if isinstance(error, DeviceError):
                missing.add(variant.device)
            result = _describe(variant, fault=str(error))
        else:
            stack.callback(backend.close)
            result = _prove(bundle, variant, backend)
            if result.fault is None:
                lane = _open_lane(bundle, variant, backend, progress, stack)
                working[variant.title] = _Working(backend, lane)
        results[variant.title] = result
        if result.fault is not None:
            out = variant.device if variant.device in missing else variant.title
            progress.say(f"{out} is out: {result.fault}")
    return results, working


def _describe(variant: PlacedVariant, *, fault: str | None = None) -> Built:
    return Built(
        variant=variant.name,
        precision=variant.precision,
        device=variant.device,
        title=variant.title,
        fault=fault,
    )


def _add_times(
    bundle: Bundle,
    results: Mapping[str, Built],
    working: Mapping[str, _Working],
    progress: Progress,
) -> dict[str, Built]:
    """Time the working variants; one that fails meanwhile gets a `fault`."""
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


def _open_lane(
    bundle: Bundle,
    variant: PlacedVariant,
    backend: Backend,
    progress: Progress,
    stack: ExitStack,
) -> Lane | None:
    """Open the way of whole frames that runs will take, too; `stack` closes it."""

    def say(line: str) -> None:
        progress.say(f"{variant.title}: {line}")

    path = open_proven_path(backend, bundle, say=say)
    if path is None:
        return None
    stack.callback(path.close)
    return stack.enter_context(closing(Lane(path)))


def _prove(bundle: Bundle, variant: PlacedVariant, backend: Backend) -> Built:
    """Check whether the golden frames' masks agree as they did where the bundle was made."""
    result = _describe(variant)
    spec = bundle.manifest.input
    worst = 100.0
    try:
        for one in replay_golden(bundle, variant, lambda f: segment_frame(backend, spec, f).mask):
            worst = min(worst, one.agreement)
            if not one.passed:
                fault = (
                    f"{one.frame} agrees in {one.agreement:.2f} % of the pixels, "
                    f"not {one.least:.2f}"
                )
                return replace(result, fault=fault)
    except BackendError as error:  # the engine fails, or its logits are not finite
        return replace(result, fault=str(error))
    return replace(result, agreement=worst)


def _time(bundle: Bundle, working: Mapping[str, _Working]) -> dict[str, float | str]:
    """Time whole frames through each, in turns; give median ms, or why the engine failed."""
    spec = bundle.manifest.input
    frame = read_golden_frame(bundle)
    faults: dict[str, float | str] = {}

    def segment(name: str) -> None:
        if name not in faults:
            try:
                segment_frame(working[name].backend, spec, frame, lane=working[name].lane)
            except BackendError as error:
                faults[name] = str(error)

    times = alternate({name: partial(segment, name) for name in working})
    return {name: float(np.median(row)) for name, row in times.items()} | faults


def _find_memory(bundle: Bundle) -> Path:
    """Find the file of the answer: each bundle, machine and engine has a file of its own."""
    engine = load_runner(bundle.manifest.target).identity()
    text = repr((describe_machine(), engine)).encode()
    key = hashlib.sha256(bundle.sha256.encode() + text).hexdigest()[:24]
    return find_cache_folder() / "builds" / f"{key}.json"


def recall_variant(bundle: Bundle) -> PlacedVariant | None:
    """Recall the variant, with its device, that was fastest here; None where none was tried."""
    try:
        content = json.loads(_find_memory(bundle).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    title = content.get("variant") if isinstance(content, dict) else None
    return next((one for one in _place_all(bundle) if one.title == title), None)


def _remember(path: Path, results: Sequence[Built], progress: Progress) -> None:
    """Save the choice, all measurements and the device's settings.

    Where the cache cannot be written, `progress` says so, and the next run measures again.
    """
    content = {
        "variant": results[0].title,
        "results": [asdict(result) for result in results],
        "device": asdict(read_jetson()) | asdict(read_state()),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(content).encode())
    except OSError as error:
        progress.say(
            f"what was found could not be kept in {path.parent} ({error.strerror}), so every run "
            f"proves again; set XDG_CACHE_HOME to a folder that can be written"
        )
