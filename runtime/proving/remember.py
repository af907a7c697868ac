"""Keeps in the user's cache which variant of a bundle was fastest on this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from edgeseg.bundle.store import Bundle
from edgeseg.files.whole import write_file
from edgeseg.machine.cache import find_cache_folder
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.jetson import read_jetson, read_state
from edgeseg.progress import Progress
from edgeseg.runtime.backends.backend import load_runner
from edgeseg.runtime.backends.placing import AUTO, PlacedVariant
from edgeseg.runtime.proving.trial import place_all

__all__ = [
    "Built",
    "Together",
    "find_memory",
    "forget_together",
    "recall_together",
    "recall_variant",
    "remember",
    "remember_together",
]


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


def find_memory(bundle: Bundle, device: str = AUTO) -> Path:
    """Find the file of the answer: each bundle, machine, engine and restriction has its own."""
    engine = load_runner(bundle.manifest.target).identity()
    text = repr((describe_machine(), engine, device)).encode()
    key = hashlib.sha256(bundle.sha256.encode() + text).hexdigest()[:24]
    return find_cache_folder() / "builds" / f"{key}.json"


def recall_variant(bundle: Bundle, *, device: str = AUTO) -> PlacedVariant | None:
    """Recall the variant, with its device, that was fastest here; None where none was tried."""
    try:
        content = json.loads(find_memory(bundle, device).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    title = content.get("variant") if isinstance(content, dict) else None
    return next((one for one in place_all(bundle) if one.title == title), None)


def remember(path: Path, results: Sequence[Built], progress: Progress) -> None:
    """Save the choice, all measurements and the device's settings.

    Where the cache cannot be written, `progress` says so, and the next run measures again.
    """
    content = {
        "variant": results[0].title,
        "results": [asdict(result) for result in results],
        "device": asdict(read_jetson()) | asdict(read_state()),
    }
    _keep(path, content, progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What a trial of several frames at once found on this machine.

    `share` is their time as a share of that one by one, None where `fault` says why they do not
    work.
    """

    share: float | None = None
    fault: str | None = None


def recall_together(bundle: Bundle, title: str) -> Together | None:
    """Recall the trial of several frames at once beside the variant of a title; None if none was.

    Whoever builds the bundle again has it forgotten.
    """
    try:
        return Together(**json.loads(_find_together(bundle, title).read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def remember_together(bundle: Bundle, title: str, found: Together, progress: Progress) -> None:
    """Save a trial, as `remember` saves a choice."""
    _keep(_find_together(bundle, title), asdict(found), progress)


def forget_together(bundle: Bundle, titles: Iterable[str]) -> None:
    """Forget the trials beside variants, so that the next run tries anew."""
    for title in titles:
        with suppress(OSError):
            _find_together(bundle, title).unlink(missing_ok=True)


def _find_together(bundle: Bundle, title: str) -> Path:
    return find_memory(bundle, f"several frames at once, beside {title}")


def _keep(path: Path, content: Mapping[str, object], progress: Progress) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(content).encode())
    except OSError as error:
        progress.say(
            f"what was found could not be kept in {path.parent} ({error.strerror}), so every run "
            f"proves again; set XDG_CACHE_HOME to a folder that can be written"
        )
