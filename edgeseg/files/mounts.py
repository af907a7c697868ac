"""Tells mount points, across which no file can be renamed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

__all__ = ["is_mount_point"]

_TABLE: Final = Path("/proc/self/mountinfo")  # see proc(5); the fifth field is the mount point
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")


def is_mount_point(path: Path) -> bool:
    """Tell whether another file system, or another place of the same one, begins at `path`.

    A symbolic link to a mount point is none itself.
    """
    place = path.parent.resolve() / path.name
    return os.path.ismount(place) or os.fsencode(place) in _list_mount_points()


def _list_mount_points() -> set[bytes]:
    """List the system's mount points; empty where the system has no such table.

    `os.path.ismount` misses a folder that is mounted from the same file system, as containers do.
    """
    try:
        lines = _TABLE.read_bytes().splitlines()
    except OSError:
        return set()
    fields = (line.split(b" ") for line in lines)
    return {_ESCAPED.sub(_unescape, field[4]) for field in fields if len(field) > 4}


def _unescape(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8)])
