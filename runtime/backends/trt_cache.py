"""Keeps TensorRT engines in the user's cache; rebuilds an engine when device or software changes.

    engines/GRAPH-DEVICE.plan     the engine of one graph (by hash) for one device and its software
    engines/GRAPH-DEVICE.json     the plan's hash, what it was built for, and on which device
    engines/timing-DEVICE.cache   the builder's measurements, which speed up the next build
    engines/.GRAPH.edgeseg-lock   held while one process builds; freed when that process ends

Several devices may share the folder, in a home folder on the network: each device removes only its
own files.

A plan is code. So a plan is loaded only from a file that belongs to this user and that nobody else
may write, and only when the plan has the recorded hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from edgeseg.errors import BackendError
from edgeseg.files.locks import hold_lock, name_lock_beside
from edgeseg.files.whole import compute_sha256, write_whole
from edgeseg.machine.cache import find_cache_folder
from edgeseg.machine.jetson import identify_device, read_jetson
from edgeseg.progress import Progress
from edgeseg.runtime.backends.trt import TensorRtBackend, build_plan, require_tensorrt
from edgeseg.runtime.gpu.cuda import Cuda

__all__ = ["BuiltFor", "identify_software", "open_engine"]

# Increase this number when the way of building changes: it makes older engines stale.
FORM: Final = 1
_REMEDY: Final = "; make space, or set XDG_CACHE_HOME to a folder that can be written"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFor:
    """All that an engine depends on; any change makes the engine stale."""

    form: int
    tensorrt: str
    capability: str
    driver: int
    board: str
    l4t: str

    @property
    def key(self) -> str:
        """A short name for this device and software."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def identify_software() -> BuiltFor:
    """Identify this device and its software.

    Raises:
        BackendError: TensorRT or CUDA is missing.
    """
    version, cuda, board = require_tensorrt(), Cuda(), read_jetson()
    return BuiltFor(
        form=FORM,
        tensorrt=version,
        capability=cuda.capability(),
        driver=cuda.driver(),
        board=board.model,
        l4t=board.l4t,
    )


def open_engine(graph: Path, *, progress: Progress) -> TensorRtBackend:
    """Open a graph's engine on this device, from the cache or built now.

    `progress` receives the reason for a build, and its progress.

    Raises:
        BackendError: the engine cannot be built, or the cache belongs to somebody else.
    """
    here = identify_software()
    folder = _make_own_folder()
    name = compute_sha256(graph)[:16]

    def wait(holder: str) -> None:
        progress.say(f"{holder} is building this engine; waiting for it")

    try:
        with hold_lock(name_lock_beside(folder / name), "the engine", wait=wait):
            plan = folder / f"{name}-{here.key}.plan"
            found = _find_fault(plan) or _load(plan)
            if isinstance(found, TensorRtBackend):
                return found
            progress.say(
                f"building the engine of {graph.name}, some minutes: {_explain(plan, found, here)}"
            )
            return TensorRtBackend(_build(graph, plan, here, progress))
    except OSError as error:
        raise BackendError(
            f"the cache {folder} cannot be used: {error.strerror}{_REMEDY}"
        ) from None


def _build(graph: Path, plan: Path, here: BuiltFor, progress: Progress) -> bytes:
    """Build a plan and save it; the plan is usable even where it cannot be saved."""
    timing = plan.with_name(f"timing-{here.key}.cache")
    known = timing.read_bytes() if _is_own(timing) else b""
    made, measured = build_plan(graph.read_bytes(), timing_cache=known, progress=progress)
    record = {
        "sha256": hashlib.sha256(made).hexdigest(),
        "built_for": asdict(here),
        "device": identify_device(),
    }
    try:
        _remove_stale(plan)
        _write(plan, made)
        # The record is written after its plan: a plan without a record is not loaded.
        _write(plan.with_suffix(".json"), json.dumps(record).encode())
        _write(timing, measured)
    except OSError as error:
        progress.say(
            f"the engine of {graph.name} could not be kept in {plan.parent} ({error.strerror}): it "
            f"runs now, and is built again next time{_REMEDY}"
        )
    return made


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read or write."""
    with write_whole(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _find_fault(plan: Path) -> str | None:
    """Explain why a plan may not be read; None where it may be read."""
    record = plan.with_suffix(".json")
    if not plan.exists() or not record.exists():
        return "there is none yet"
    if not _is_own(plan) or not _is_own(record):
        return "the old one is not this user's alone"
    try:
        expected = json.loads(record.read_text("utf-8"))["sha256"]
    except (ValueError, KeyError, TypeError):
        return "the old one's record is damaged"
    return None if expected == compute_sha256(plan) else "the old one is damaged"


def _load(plan: Path) -> TensorRtBackend | str:
    """Load the engine, or explain why it does not load."""
    try:
        return TensorRtBackend(plan.read_bytes())
    except BackendError as error:
        return f"the old one does not load ({error})"


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


def _find_others(plan: Path) -> Iterator[tuple[Path, dict[str, object]]]:
    """Find this device's other plans of the same graph: each one's record and its content."""
    for record in sorted(plan.parent.glob(f"{plan.name.partition('-')[0]}-*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            content = json.loads(record.read_text("utf-8"))
            if record.stem != plan.stem and content["device"] == identify_device():
                yield record, dict(content["built_for"])


def _make_own_folder() -> Path:
    folder = find_cache_folder() / "engines"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BackendError(
            f"the cache {folder} cannot be written: {error.strerror}; set XDG_CACHE_HOME to a "
            f"folder that can"
        ) from None
    if not _is_own(folder):
        raise BackendError(
            f"{folder} belongs to another user, or others may write to it; engines are code, so "
            f"none is taken from there: chmod go-w it, or set XDG_CACHE_HOME"
        )
    return folder


def _is_own(path: Path) -> bool:
    """Tell whether a file exists, is this user's, and nobody else may write it."""
    try:
        status = path.lstat()
    except OSError:
        return False
    others = stat.S_IWGRP | stat.S_IWOTH
    return status.st_uid == os.getuid() and not status.st_mode & others and not path.is_symlink()
