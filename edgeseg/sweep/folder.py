"""Locks the folder of a sweep: a new one, an empty one, or that of an earlier sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from edgeseg.errors import ReportError
from edgeseg.files.locks import LOCK, hold_lock, name_lock_in
from edgeseg.files.signature import holds_fields

__all__ = ["REQUEST", "lock_folder"]

REQUEST: Final = "request.json"  # in the report folder of each cell


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Make the folder where there is none, and lock it while the block runs.

    Raises:
        ReportError: the folder holds something else, or cannot be written.
        BusyError: another process sweeps into it.
    """
    with ExitStack() as stack:
        try:
            _check(folder)
            stack.enter_context(hold_lock(name_lock_in(folder), f"sweep {folder}"))
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
    """Tell whether an overview is there, or the request of a cell."""
    requests = folder.glob(f"reports/*/{REQUEST}")
    return holds_fields(folder / "sweep.json", "rows", "rounds") or any(
        holds_fields(path, "data", "target") for path in requests
    )
