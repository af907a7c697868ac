"""Chooses the bundle's variant that runs here.

A bundle says which variant was fastest where it was made. On a machine with other instructions or
devices, or with another version of the engine, another variant may be faster, or a variant may
compute wrongly. So all are tried once here.
"""

from __future__ import annotations

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import find_engine_version
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.backend import load_runner
from edgeseg.runtime.backends.placing import AUTO, restrict_devices
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.proving.remember import recall_variant
from edgeseg.runtime.proving.trial import place_all
from edgeseg.runtime.timing import SAME_SPEED
from edgeseg.targets import find_target
from edgeseg.text import join_words

__all__ = ["choose_variant"]


def choose_variant(
    bundle: Bundle, *, device: str = AUTO, progress: Progress = SILENT
) -> VariantInfo:
    """Choose the variant to run: what `build` found here, else the bundle's own where it was made.

    Elsewhere it is built first.

    `device` restricts the choice to devices of that name, as `cpu`, `gpu` or `gpu.1`.

    Raises:
        DeviceError: the engine offers no such device here.
        GateMissedError: no variant works here.
        BackendError: the target's engine is not installed.
    """
    known = recall_variant(bundle, device=device)
    if known is not None:
        return known
    why = _explain_elsewhere(bundle, device)
    if why is None:
        slow = _explain_slow(bundle)
        if slow is not None:
            progress.say(slow)
        return bundle.chosen
    placed = place_all(bundle, device)
    several = len(placed) > 1
    task = "proving and timing the bundle's variants" if several else "proving the bundle"
    progress.say(f"{why}: {task}")
    title = build(bundle, device=device, progress=progress, timed=several)[0].title
    return next(variant for variant in placed if variant.title == title)


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
