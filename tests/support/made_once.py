"""What is expensive is made once in a run of tests, whichever of its processes is first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeseg.files.locks import hold_lock, name_lock_beside

__all__ = ["made_once"]


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills; other processes wait for it. Nobody changes it afterwards."""
    with hold_lock(name_lock_beside(folder), folder, wait=lambda _holder: None):
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.partial")
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder
