"""Checks and holds a sweep's folder: new, empty, or that of an earlier sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from edgeseg.errors import ReportError
from edgeseg.files.locks import LOCK, hold_lock, lock_in
from edgeseg.files.signature import holds_fields

__all__ = ["REQUEST", "sweep_folder"]

REQUEST: Final = "request.json"


@contextmanager
def sweep_folder(folder: Path) -> Iterator[None]:
    """Hold the folder while the block runs; files that are not the sweep's stay.

    Raises:
        ReportError: the folder holds something else, or cannot be written.
        BusyError: another process sweeps into it.
    """
    with ExitStack() as stack:
        try:
            _check(folder)
            stack.enter_context(hold_lock(lock_in(folder), f"sweep {folder}"))
        except OSError as error:
            raise ReportError(
                f"{folder} cannot be written: {error.strerror}; choose another --output"
            ) from None
        yield


def _check(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ReportError(f"{folder} is a file; choose another --output")
    names = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
    if names and not _is_sweep(folder):
        raise ReportError(
            f"{folder} holds {names[0]} and no sweep of edgeseg's; choose another --output"
        )


def _is_sweep(folder: Path) -> bool:
    """Check whether a sweep's overview is there, or the request of its first cell."""
    requests = folder.glob(f"reports/*/{REQUEST}")
    return holds_fields(folder / "sweep.json", "rows", "rounds") or any(
        holds_fields(path, "data", "target") for path in requests
    )
