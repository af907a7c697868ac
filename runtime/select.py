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
from edgeseg.runtime.backends.placing import AUTO, PlacedVariant, restrict_devices
from edgeseg.runtime.golden import read_golden_frame
from edgeseg.runtime.gpu.lane import Lane
from edgeseg.runtime.proof import open_proven_path
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import SAME_SPEED, alternate, order_by_speed
from edgeseg.runtime.trial import Verdict, place_all, prove, try_apart
from edgeseg.targets import find_target
from edgeseg.text import join_words

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


def choose_variant(
    bundle: Bundle, *, device: str = AUTO, progress: Progress = SILENT
) -> VariantInfo:
    """Choose the variant to run: the bundle's own choice where it was made, else by `build`.

    `device` restricts the choice to devices of that name, as `cpu`, `gpu` or `gpu.1`.

    Raises:
        DeviceError: the engine offers no such device here.
        GateMissedError: no variant works here.
        BackendError: the target's engine is not installed.
    """
    why = _explain_elsewhere(bundle, device)
    if why is None:
        slow = _explain_slow(bundle)
        if slow is not None:
            progress.say(slow)
        return bundle.chosen
    known = recall_variant(bundle, device=device)
    if known is None:
        placed = place_all(bundle, device)
        several = len(placed) > 1
        task = "proving and timing the bundle's variants" if several else "proving the bundle"
        progress.say(f"{why}: {task}")
        title = build(bundle, device=device, progress=progress, timed=several)[0].title
        known = next(variant for variant in placed if variant.title == title)
    return known


def _explain_elsewhere(bundle: Bundle, device: str) -> str | None:
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
    devices = load_runner(manifest.target).list_devices()
    first, kept = devices[0].name, [one.name for one in restrict_devices(devices, device)]
    others = [name for name in kept if name != first]
    if first not in kept:
        return f"{join_words(others)} was asked for, and it was made on {first}"
    if others:
        return f"{join_words(others)} may be faster than {first}, where it was made"
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


def build(
    bundle: Bundle,
    *,
    device: str = AUTO,
    progress: Progress = SILENT,
    timed: bool = True,
) -> list[Built]:
    """Prove and time every variant here; list the fastest first, and remember the result.

    A variant that fails the golden frames gets a `fault`. The others are timed in turns, on whole
    frames of the camera's size, because work outside the engine counts too. Where speeds are equal,
    the variant with the best agreement comes first. A variant that stands in for another is tried
    only where the other's engine cannot be built. On another device than the engine's first, a
    variant is first tried in a process of its own.

    Raises:
        DeviceError: the engine offers no such device here.
        GateMissedError: no variant works here; the message gives the reason for each.
        BackendError: the target's engine is not installed.
    """
    placed = place_all(bundle, device)
    memory = _find_memory(bundle, device)
    with ExitStack() as stack:
        results, working = _prove_all(bundle, placed, progress, stack)
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
    bundle: Bundle, placed: Sequence[PlacedVariant], progress: Progress, stack: ExitStack
) -> tuple[dict[str, Built], dict[str, _Working]]:
    """Prove every variant; return the results and the working engines, which `stack` closes."""
    results: dict[str, Built] = {}
    working: dict[str, _Working] = {}
    unbuilt: set[tuple[str | None, str]] = set()
    missing: set[str] = set()
    for variant in placed:
        stands_in = variant.instead_of is not None
        needless = stands_in and (variant.instead_of, variant.device) not in unbuilt
        if needless or variant.device in missing:
            continue
        backend, verdict = _open_and_prove(bundle, variant, progress, stack)
        if backend is None:
            unbuilt.add((variant.name, variant.device))
        if verdict.absent:
            missing.add(variant.device)
        if verdict.fault is not None:
            out = variant.device if verdict.absent else variant.title
            progress.say(f"{out} is out: {verdict.fault}")
        elif backend is not None:
            lane = _open_lane(bundle, variant, backend, progress, stack)
            working[variant.title] = _Working(backend, lane)
        results[variant.title] = Built(
            variant=variant.name,
            precision=variant.precision,
            device=variant.device,
            title=variant.title,
            agreement=verdict.agreement,
            fault=verdict.fault,
        )
    return results, working


def _open_and_prove(
    bundle: Bundle, variant: PlacedVariant, progress: Progress, stack: ExitStack
) -> tuple[Backend | None, Verdict]:
    """Open and prove a variant; `stack` closes its engine. None where it cannot be opened."""
    if variant.apart:
        progress.say(f"trying {variant.title}: a device compiles for a minute or two at first")
        apart = try_apart(bundle, variant)
        if apart.fault is not None:
            return None, apart
    try:
        backend = open_backend(bundle, variant=variant, progress=progress)
    except BackendError as error:
        return None, Verdict(fault=str(error), absent=isinstance(error, DeviceError))
    stack.callback(backend.close)
    return backend, prove(bundle, variant, backend)


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


def _find_memory(bundle: Bundle, device: str = AUTO) -> Path:
    """Find the file of the answer: each bundle, machine, engine and restriction has its own."""
    engine = load_runner(bundle.manifest.target).identity()
    text = repr((describe_machine(), engine, device)).encode()
    key = hashlib.sha256(bundle.sha256.encode() + text).hexdigest()[:24]
    return find_cache_folder() / "builds" / f"{key}.json"


def recall_variant(bundle: Bundle, *, device: str = AUTO) -> PlacedVariant | None:
    """Recall the variant, with its device, that was fastest here; None where none was tried."""
    try:
        content = json.loads(_find_memory(bundle, device).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    title = content.get("variant") if isinstance(content, dict) else None
    return next((one for one in place_all(bundle) if one.title == title), None)


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
