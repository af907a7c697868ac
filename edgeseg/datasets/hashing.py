"""Hashes the files of a data set, and reads a file again only if it has changed.

A comparison with a baseline hashes all images, and so does every cell of a sweep. If hashes were
not remembered, each of them would read every file again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from edgeseg.datasets.location import is_remote
from edgeseg.files.whole import compute_sha256

__all__ = ["hash_file"]

# A file that was just written may change again without a change of its times.
_SETTLED_NS: Final = 2_000_000_000
_Stamp = tuple[int, int, int]  # size, and the times of content and inode

_known: Final[dict[tuple[int, int], tuple[_Stamp, str]]] = {}


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a file, or recall it if the file's size and times are the same.

    A file at a URL is read every time.

    Raises:
        OSError: the file cannot be read.
    """
    if is_remote(path):
        return compute_sha256(path)
    status = path.stat()
    place = status.st_dev, status.st_ino
    stamp = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    known = _known.get(place)
    if known is not None and known[0] == stamp:
        return known[1]
    found = compute_sha256(path)
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS:
        _known[place] = stamp, found
    return found
