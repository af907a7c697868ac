"""One holder at a time for what several processes may write: an output, a folder, a search.

A lock is a file beside, or in, what it is for. The system lets go of it whatever happens to its
holder, who removes it at the end: a lock file that nobody holds was left by a killed process, and
so was whatever lies there under a name of edgeseg's own.
"""

from __future__ import annotations

import fcntl
import os
import platform
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edgeseg.errors import BusyError

__all__ = ["LOCK", "lock_beside", "lock_in", "locked"]

LOCK: Final = ".edgeseg-lock"
_TRIES: Final = 100


def lock_beside(path: Path) -> Path:
    """The lock of a file, or of a folder that is replaced as a whole."""
    return path.with_name(f".{path.name}{LOCK}")


def lock_in(folder: Path) -> Path:
    """The lock of a folder that is added to."""
    return folder / LOCK


@contextmanager
def locked(
    lock: Path, what: object, *, wait: Callable[[str], None] | None = None
) -> Iterator[bool]:
    """Hold a lock while the block runs; gives whether a killed process left it behind.

    The lock's folder is made where there is none, and removed again if it stays empty. `wait` is
    told who holds the lock, and then it is waited for; without `wait` that is an error.

    Raises:
        BusyError: another process writes `what`.
        OSError: the folder does not take a file.
    """
    made = [place for place in (lock.parent, *lock.parent.parents) if not place.exists()]
    try:
        descriptor = _acquired(lock, what, wait)
        try:
            left_behind = bool(os.pread(descriptor, 1, 0))
            _sign(descriptor)
            yield left_behind
        finally:
            if _is_at(lock, descriptor):  # not one that another process made since
                lock.unlink(missing_ok=True)
            os.close(descriptor)
    finally:
        for place in made:
            with suppress(OSError):  # it holds something
                place.rmdir()


def _acquired(lock: Path, what: object, wait: Callable[[str], None] | None) -> int:
    """An open descriptor of the lock file, locked."""
    while True:
        descriptor = _opened(lock)
        try:
            _take(descriptor, what, wait)
            mine = _is_at(lock, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if mine:
            return descriptor
        os.close(descriptor)  # its last holder removed it between the two calls


def _opened(lock: Path) -> int:
    """The lock file, made where there is none; its folder may be removed by another at any time."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return _made(lock)
    return _made(lock)


def _made(lock: Path) -> int:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        # A folder that was removed between two calls is said to exist, too.
        if not stat.S_ISDIR(os.lstat(error.filename).st_mode):
            raise
    return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def _take(descriptor: int, what: object, wait: Callable[[str], None] | None) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(descriptor)
        if wait is None:
            raise BusyError(
                f"{what} is being written by {holder}; wait for it, or choose another name"
            ) from None
        wait(holder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _sign(descriptor: int) -> None:
    """Say who holds it. A full disk takes no signature, and the lock holds all the same."""
    with suppress(OSError):
        os.ftruncate(descriptor, os.pwrite(descriptor, f"{os.getpid()} {_host()}".encode(), 0))


def _holder(descriptor: int) -> str:
    """Whoever signed, in words."""
    pid, _, host = os.pread(descriptor, 300, 0).decode("utf-8", "replace").partition(" ")
    if not pid.isdecimal():
        return "another process"
    return f"process {pid}" if host == _host() else f"process {pid} on {host}"


def _host() -> str:
    return platform.node()


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the file that is open is the one that has the name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
