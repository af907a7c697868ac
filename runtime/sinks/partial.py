"""Temporary names beside the final ones, for outputs that are not complete yet.

A file is renamed within one file system only. So what becomes the content of a mount point lies in
the mount point until then, and not beside it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeseg.errors import SinkError
from edgeseg.files.homes import shorten
from edgeseg.files.locks import hold_lock, name_lock_beside, name_lock_in
from edgeseg.files.mounts import is_mount_point
from edgeseg.files.signature import UNKNOWN, is_replaceable
from edgeseg.progress import Say
from edgeseg.text import explain

__all__ = ["LastStepError", "give_name", "name_partial", "reserve"]


class LastStepError(SinkError):
    """The last step of an output failed. What was made stays; the message says what there is."""


def name_partial(path: Path) -> Path:
    """Name `x.partial.mp4` for `x.mp4`: encoders need the ending last.

    For a folder that is a mount point the name lies in the folder.
    """
    place = path if is_mount_point(path) else path.parent
    return place / f"{path.stem}.partial{path.suffix}"


@contextmanager
def reserve(path: Path, name: object, *, say: Say) -> Iterator[None]:
    """Lock the output at `path`, called `name` in messages, while the block runs.

    What a killed run left there under the temporary name is moved away; `say` receives a line
    about it.

    Raises:
        BusyError: another process writes the output.
        SinkError: somebody else's file has the temporary name.
        OSError: the output's folder takes no file, or the file there cannot be read or moved.
    """
    lock = name_lock_in(path) if is_mount_point(path) else name_lock_beside(path)
    with hold_lock(lock, name) as held:
        left = _set_aside(path, left_behind=held.left_behind)
        if left is not None:
            say(f"what a killed run left is kept: {shorten(left)}")
        yield


def _set_aside(path: Path, *, left_behind: bool) -> Path | None:
    """Move an earlier run's partial file to a free name, `x.partial-1.mp4`; None without one.

    `left_behind` says that a killed process left the output's lock.

    Raises:
        SinkError: neither the lock nor the file itself shows that an earlier run wrote it.
        OSError: the file cannot be read or moved.
    """
    partial = name_partial(path)
    if not os.path.lexists(partial):
        return None
    if not left_behind and not _is_own(partial):
        raise SinkError(
            f"{partial} exists and does not say that edgeseg wrote it, and {path.name} is written "
            f"under that name first; move it away, or give another name"
        )
    names = (f"{path.stem}.partial-{count}{path.suffix}" for count in itertools.count(1))
    return partial.rename(
        next(free for name in names if not (free := partial.with_name(name)).exists())
    )


def _is_own(partial: Path) -> bool:
    """Tell whether edgeseg signed a file, or every file of a folder."""
    if partial.is_symlink() or not partial.is_dir():
        return is_replaceable(partial)
    within = list(partial.iterdir())
    return bool(within) and all(map(is_replaceable, within))


def give_name(partial: Path, path: Path) -> Path:
    """Give a complete output its final name.

    Raises:
        LastStepError: a file that no run of edgeseg wrote has taken the name meanwhile; or the
            output cannot be moved there. It keeps its temporary name.
    """
    try:
        if not is_replaceable(path):
            raise LastStepError(
                f"{path} is there now, and {UNKNOWN}; the new one is kept as {partial}"
            )
        return partial.replace(path)
    except OSError as error:
        raise LastStepError(
            f"{path} cannot be written: {explain(error)}; the new one is kept as {partial}"
        ) from None
