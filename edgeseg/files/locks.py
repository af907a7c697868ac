"""Locks what several processes may write, one holder at a time: an output, a folder, a search.

A lock is a file beside, or in, what it protects. The holder removes it at the end. The system
releases it whatever happens to the holder. So a lock file that nobody holds was left by a killed
process, and so was whatever lies there under a name of edgeseg's own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from edgeseg.errors import BusyError

__all__ = ["LOCK", "Held", "name_lock_beside", "name_lock_in", "hold_lock"]

LOCK: Final = ".edgeseg-lock"
_TRIES: Final = 100
# Errors of a file system without locks, such as NFS without a lock daemon.
_NO_LOCKS: Final = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def name_lock_beside(path: Path) -> Path:
    """Return the lock's path for a file, or for a folder that is replaced as a whole."""
    return path.with_name(f".{path.name}{LOCK}")


def name_lock_in(folder: Path) -> Path:
    """Return the lock's path for a folder that files are added to."""
    return folder / LOCK


@dataclass(frozen=True, slots=True)
class Held:
    """A lock while it is held.

    `alone` is False where the file system takes no locks: another process may be at work, too.
    `left_behind` says whether a killed process had left the lock.
    """

    alone: bool
    left_behind: bool


@contextmanager
def hold_lock(
    lock: Path, what: object, *, wait: Callable[[str], None] | None = None
) -> Iterator[Held]:
    """Hold a lock while the block runs.

    The lock's folder is made where there is none, and removed again if it stays empty. With `wait`,
    a lock that is held is waited for, and `wait` is told who holds it; without `wait`, a held lock
    is an error. Where the file system takes no locks, the block runs without one, and a line on
    stderr says so.

    Raises:
        BusyError: another process writes `what`.
        OSError: the folder does not take a file.
    """
    made = [place for place in (lock.parent, *lock.parent.parents) if not place.exists()]
    try:
        descriptor, alone = _acquire(lock, what, wait)
        try:
            left_behind = alone and bool(os.pread(descriptor, 1, 0))
            if alone:
                _sign(descriptor)
            yield Held(alone, left_behind)
        finally:
            if _is_at(lock, descriptor):  # keep a lock that another process made since
                lock.unlink(missing_ok=True)
            os.close(descriptor)
    finally:
        for place in made:
            with suppress(OSError):  # a folder with files stays
                place.rmdir()


def _acquire(lock: Path, what: object, wait: Callable[[str], None] | None) -> tuple[int, bool]:
    """Open the lock file; return its descriptor and whether it is locked."""
    while True:
        descriptor = _open(lock)
        try:
            alone = _take(descriptor, what, wait)
            if not alone:
                _say_unlocked(lock.parent)
            mine = _is_at(lock, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if mine:
            return descriptor, alone
        os.close(descriptor)  # its last holder removed it between the two calls


def _open(lock: Path) -> int:
    """Open the lock file, or make it; another process may remove its folder at any time."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return _make(lock)
    return _make(lock)


def _make(lock: Path) -> int:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        # The system reports a folder that was removed between two calls as existing, too.
        if not stat.S_ISDIR(os.lstat(error.filename).st_mode):
            raise
    return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def _take(descriptor: int, what: object, wait: Callable[[str], None] | None) -> bool:
    """Try to lock; return whether it is locked now: some network shares take no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _read_holder(descriptor)
        if wait is None:
            raise BusyError(
                f"{what} is being written by {holder}; wait for it, or choose another name"
            ) from None
        wait(holder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


@cache
def _say_unlocked(folder: Path) -> None:
    sys.stderr.write(
        f"{folder} takes no locks: do not write the same output twice at one time there\n"
    )


def _sign(descriptor: int) -> None:
    """Write who holds the lock. A full disk takes no signature, but the lock holds."""
    with suppress(OSError):
        os.ftruncate(descriptor, os.pwrite(descriptor, f"{os.getpid()} {_find_host()}".encode(), 0))


def _read_holder(descriptor: int) -> str:
    """Read who holds the lock, in words."""
    pid, _, host = os.pread(descriptor, 300, 0).decode("utf-8", "replace").partition(" ")
    if not pid.isdecimal():
        return "another process"
    return f"process {pid}" if host == _find_host() else f"process {pid} on {host}"


def _find_host() -> str:
    return platform.node()


def _is_at(path: Path, descriptor: int) -> bool:
    """Check whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
