"""Keeps TensorRT engines in the user's cache; rebuilds an engine when device or software changes.

    engines/GRAPH-DEVICE.plan     the engine of one graph (by hash) for one device and its software
    engines/GRAPH-DEVICE.json     the plan's hash, what it was built for, and on which device
    engines/GRAPH-DEVICE.kernels  what a just-in-time library compiled when the plan was opened
    engines/timing-DEVICE.cache   the builder's measurements, which speed up the next build
    engines/.GRAPH.edgeseg-lock   held while one process builds; freed when that process ends

TensorRT-RTX has a folder of its own, rtx_engines.

Several devices may share the folder, in a home folder on the network: each device removes only its
own files.

A plan and its kernels are code, so both are loaded only from this user's own files; see
`own_cache`. The library checks whether kernels fit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from edgeseg.errors import BackendError
from edgeseg.files.locks import hold_lock, name_lock_beside
from edgeseg.files.whole import compute_sha256
from edgeseg.machine.jetson import identify_device, read_jetson
from edgeseg.machine.own_cache import (
    find_fault,
    is_own,
    make_own_folder,
    write_own,
    write_recorded,
)
from edgeseg.progress import Progress
from edgeseg.runtime.backends.trt import TensorRtBackend, build_plan
from edgeseg.runtime.backends.trt_library import TENSORRT, Library
from edgeseg.runtime.gpu.cuda import Cuda

__all__ = ["BuiltFor", "identify_software", "open_engine"]

# Increase this number when the way of building changes: it makes older engines stale.
FORM: Final = 1
_REMEDY: Final = "; make space, or set XDG_CACHE_HOME to a folder that can be written"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFor:
    """All that an engine depends on; any change makes the engine stale."""

    form: int
    library: str
    capability: str
    driver: int
    board: str
    l4t: str

    @property
    def key(self) -> str:
        """A short name for this device and software."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def identify_software(library: Library = TENSORRT) -> BuiltFor:
    """Identify this device and its software.

    Raises:
        BackendError: the library or CUDA is missing.
    """
    version, cuda, board = library.full_name, Cuda(), read_jetson()
    return BuiltFor(
        form=FORM,
        library=version,
        capability=cuda.capability(),
        driver=cuda.driver(),
        board=board.model,
        l4t=board.l4t,
    )


def open_engine(
    graph: Path, *, library: Library = TENSORRT, stream: int | None = None, progress: Progress
) -> TensorRtBackend:
    """Open a graph's engine on this device, from the cache or built now.

    It works in `stream`, or in one of its own. `progress` receives the reason for a build, and its
    progress.

    Raises:
        BackendError: the engine cannot be built, or the cache belongs to somebody else.
    """
    here = identify_software(library)
    folder = make_own_folder(library.folder)
    name = compute_sha256(graph)[:16]

    def wait(holder: str) -> None:
        progress.say(f"{holder} is building this engine; waiting for it")

    try:
        with hold_lock(name_lock_beside(folder / name), "the engine", wait=wait):
            plan = folder / f"{name}-{here.key}.plan"
            found = find_fault(plan) or _load(plan, library, stream)
            if isinstance(found, TensorRtBackend):
                return found
            progress.say(
                f"building the engine of {graph.name}, {library.takes}: "
                f"{_explain(plan, found, here)}"
            )
            built = _build(graph, plan, library, here, progress)
            return _open(built, plan, library, stream)
    except OSError as error:
        raise BackendError(
            f"the cache {folder} cannot be used: {error.strerror}{_REMEDY}"
        ) from None


def _build(graph: Path, plan: Path, library: Library, here: BuiltFor, progress: Progress) -> bytes:
    """Build a plan and save it; the plan is usable even where it cannot be saved."""
    timing = plan.with_name(f"timing-{here.key}.cache")
    known = timing.read_bytes() if is_own(timing) else b""
    made, measured = build_plan(
        graph.read_bytes(), timing_cache=known, cuda=Cuda(), library=library, progress=progress
    )
    try:
        _remove_stale(plan)
        write_recorded(plan, made, {"built_for": asdict(here), "device": identify_device()})
        write_own(timing, measured)
    except OSError as error:
        progress.say(
            f"the engine of {graph.name} could not be kept in {plan.parent} ({error.strerror}): it "
            f"runs now, and is built again next time{_REMEDY}"
        )
    return made


def _load(plan: Path, library: Library, stream: int | None) -> TensorRtBackend | str:
    """Load the engine, or explain why it does not load."""
    try:
        return _open(plan.read_bytes(), plan, library, stream)
    except BackendError as error:
        return f"the old one does not load ({error})"


def _open(content: bytes, plan: Path, library: Library, stream: int | None) -> TensorRtBackend:
    """Open a plan, with the kernels that an earlier run kept beside it."""
    beside = plan.with_suffix(".kernels")
    kernels = beside.read_bytes() if is_own(beside) else b""

    def keep(compiled: bytes) -> None:
        # Without them the next run compiles again, which takes seconds: no reason to fail.
        if compiled != kernels:
            with suppress(OSError):
                write_own(beside, compiled)

    return TensorRtBackend(content, library=library, stream=stream, kernels=kernels, keep=keep)


def _explain(plan: Path, why: str, here: BuiltFor) -> str:
    """Explain the fault; for a missing plan, say what changed since the last build here."""
    if plan.exists():
        return why
    for _, before in _find_others(plan):
        changed = [
            f"{name} was {before.get(name)} and is {value}"
            for name, value in asdict(here).items()
            if before.get(name) != value
        ]
        return f"the old one is stale ({', '.join(changed)})"
    return why


def _remove_stale(plan: Path) -> None:
    """Remove this device's older plans of the same graph."""
    for record, _ in _find_others(plan):
        record.unlink(missing_ok=True)
        record.with_suffix(".plan").unlink(missing_ok=True)
        record.with_suffix(".kernels").unlink(missing_ok=True)


def _find_others(plan: Path) -> Iterator[tuple[Path, dict[str, object]]]:
    """Find this device's other plans of the same graph: each one's record and its content."""
    for record in sorted(plan.parent.glob(f"{plan.name.partition('-')[0]}-*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            content = json.loads(record.read_text("utf-8"))
            if record.stem != plan.stem and content["device"] == identify_device():
                yield record, dict(content["built_for"])
