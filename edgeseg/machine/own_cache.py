"""Keeps compiled code in the user's cache.

Code that runs is taken only from a file that belongs to this user and that nobody else may write,
and only if it has the recorded hash. Beside each file FILE.SUFFIX lies its record, FILE.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from edgeseg.errors import BackendError
from edgeseg.files.whole import compute_sha256, write_whole
from edgeseg.machine.cache import find_cache_folder

__all__ = ["find_fault", "is_own", "make_own_folder", "write_own", "write_recorded"]


def make_own_folder(name: str) -> Path:
    """Make the folder of the cache that holds `name`, a plural as `engines`.

    Raises:
        BackendError: it cannot be made, or others may write to it.
    """
    folder = find_cache_folder() / name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BackendError(
            f"the cache {folder} cannot be written: {error.strerror}; set XDG_CACHE_HOME to a "
            f"folder that can"
        ) from None
    if not is_own(folder):
        raise BackendError(
            f"{folder} belongs to another user, or others may write to it; {name} are code, so "
            f"none is taken from there: chmod go-w it, or set XDG_CACHE_HOME"
        )
    return folder


def write_own(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read or write.

    Raises:
        OSError: the file cannot be written.
    """
    with write_whole(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def write_recorded(path: Path, code: bytes, facts: Mapping[str, object]) -> None:
    """Write code and then its record, with its hash: code without a record is not loaded.

    Raises:
        OSError: one of them cannot be written.
    """
    record = {"sha256": hashlib.sha256(code).hexdigest(), **facts}
    write_own(path, code)
    write_own(path.with_suffix(".json"), json.dumps(record).encode())


def find_fault(path: Path) -> str | None:
    """Explain why code may not be loaded from a file; None where it may be.

    Raises:
        OSError: the file cannot be read.
    """
    record = path.with_suffix(".json")
    if not path.exists() or not record.exists():
        return "there is none yet"
    if not is_own(path) or not is_own(record):
        return "the old one is not this user's alone"
    try:
        expected = json.loads(record.read_text("utf-8"))["sha256"]
    except (ValueError, KeyError, TypeError):
        return "the old one's record is damaged"
    return None if expected == compute_sha256(path) else "the old one is damaged"


def is_own(path: Path) -> bool:
    """Tell whether a file exists, is this user's, and nobody else may write it."""
    try:
        status = path.lstat()
    except OSError:
        return False
    others = stat.S_IWGRP | stat.S_IWOTH
    return status.st_uid == os.getuid() and not status.st_mode & others and not path.is_symlink()
