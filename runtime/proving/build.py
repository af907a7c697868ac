"""Proves every variant of a bundle on each device that its engine offers here, and times them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError, DeviceError, GateMissedError
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.backend import Backend, open_backend
from edgeseg.runtime.backends.checked import REMEDY
from edgeseg.runtime.backends.placing import AUTO, PlacedVariant
from edgeseg.runtime.gpu.lane import Lane
from edgeseg.runtime.proof import open_proven_path
from edgeseg.runtime.proving.race import Entrant, Race
from edgeseg.runtime.proving.remember import Built, find_memory, forget_together, remember
from edgeseg.runtime.proving.trial import Verdict, place_all, prove, try_apart
from edgeseg.runtime.timing import order_by_speed

__all__ = ["build"]


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
    memory = find_memory(bundle, device)
    with closing(Race(bundle)) as race:
        results = list(_prove_all(bundle, placed, progress, race if timed else None))
        if timed:
            race.finish()
    results = [_add_time(result, race, progress) for result in results]
    passed = [result for result in results if result.fault is None]
    failed = [result for result in results if result.fault is not None]
    if not passed:
        reasons = "; ".join(f"{result.title}: {result.fault}" for result in failed)
        others = {one.device for one in place_all(bundle)} - {one.device for one in placed}
        remedy = f"try --device {min(others)}" if others else REMEDY
        raise GateMissedError(
            f"no variant of {bundle.folder} works on this machine ({reasons}); {remedy}"
        )
    ordered = [*_rank(passed), *failed]
    remember(memory, ordered, progress)
    forget_together(bundle, [one.title for one in ordered])
    return ordered


def _prove_all(
    bundle: Bundle, placed: Sequence[PlacedVariant], progress: Progress, race: Race | None
) -> Iterator[Built]:
    """Prove every variant, and let those that work take part in the race, if there is one."""
    unbuilt: set[tuple[str | None, str]] = set()
    missing: set[str] = set()
    for variant in placed:
        stands_in = variant.instead_of is not None
        needless = stands_in and (variant.instead_of, variant.device) not in unbuilt
        if needless or variant.device in missing:
            continue
        with ExitStack() as resources:
            backend, verdict = _open_and_prove(bundle, variant, progress, resources)
            if backend is None:
                unbuilt.add((variant.name, variant.device))
            if verdict.absent:
                missing.add(variant.device)
            if verdict.fault is not None:
                out = variant.device if verdict.absent else variant.title
                progress.say(f"{out} is out: {verdict.fault}")
            elif backend is not None and race is not None:
                lane = _open_lane(bundle, variant, backend, progress, resources)
                race.admit(
                    Entrant(
                        title=variant.title,
                        backend=backend,
                        lane=lane,
                        resources=resources.pop_all(),
                    )
                )
        yield Built(
            variant=variant.name,
            precision=variant.precision,
            device=variant.device,
            title=variant.title,
            agreement=verdict.agreement,
            fault=verdict.fault,
        )


def _open_and_prove(
    bundle: Bundle, variant: PlacedVariant, progress: Progress, resources: ExitStack
) -> tuple[Backend | None, Verdict]:
    """Open and prove a variant; `resources` close its engine. None where it cannot be opened."""
    if variant.apart:
        progress.say(f"trying {variant.title}: a device compiles for a minute or two at first")
        apart = try_apart(bundle, variant)
        if apart.fault is not None:
            return None, apart
    try:
        backend = open_backend(bundle, variant=variant, progress=progress)
    except BackendError as error:
        return None, Verdict(fault=str(error), absent=isinstance(error, DeviceError))
    resources.callback(backend.close)
    return backend, prove(bundle, variant, backend)


def _open_lane(
    bundle: Bundle,
    variant: PlacedVariant,
    backend: Backend,
    progress: Progress,
    resources: ExitStack,
) -> Lane | None:
    """Open the way of whole frames that runs will take, too; `resources` close it."""

    def say(line: str) -> None:
        progress.say(f"{variant.title}: {line}")

    path = open_proven_path(backend, bundle, say=say)
    if path is None:
        return None
    resources.callback(path.close)
    return resources.enter_context(closing(Lane(path)))


def _add_time(result: Built, race: Race, progress: Progress) -> Built:
    """Add what the race found of a variant; one that failed in it gets a `fault`."""
    fault = race.faults.get(result.title)
    if fault is not None:
        progress.say(f"{result.title} is out: {fault}")
        return replace(result, agreement=None, fault=fault)
    return replace(result, latency_ms=race.times.get(result.title))


def _rank(passed: Sequence[Built]) -> list[Built]:
    return order_by_speed(
        passed,
        speed=lambda result: 1 / (result.latency_ms or 1.0),
        agreement=lambda result: result.agreement or 0.0,
    )
