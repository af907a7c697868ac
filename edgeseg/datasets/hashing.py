"""Hashes the files of a data set, and reads a file again only if it has changed.

A comparison with a baseline hashes all images, and so does every cell of a sweep. If hashes were
not remembered, each of them would read every file again.
"""

from __future__ import annotations

import time
from pathlib import Path
from struct import Struct
from typing import Final

from edgeseg.datasets.location import is_remote
from edgeseg.files.whole import compute_sha256

__all__ = ["hash_file"]

# A file that was just written may change again without a change of its times.
_SETTLED_NS: Final = 2_000_000_000
# What a file is told by: device, inode, size, and the times of content and inode. As bytes, and so
# the hashes: 200,000 files take 45 MB, and as numbers and digits 120.
_STAMP: Final = Struct("QQqqq")

_known: Final[dict[bytes, bytes]] = {}


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a file, or recall it if the file's size and times are the same.

    A file at a URL is read every time.

    Raises:
        OSError: the file cannot be read.
    """
    if is_remote(path):
        return compute_sha256(path)
    status = path.stat()
    times = status.st_mtime_ns, status.st_ctime_ns
    stamp = _STAMP.pack(status.st_dev, status.st_ino, status.st_size, *times)
    known = _known.get(stamp)
    if known is not None:
        return known.hex()
    found = compute_sha256(path)
    if time.time_ns() - max(times) > _SETTLED_NS:
        _known[stamp] = bytes.fromhex(found)
    return found
