"""What tells a file that `edgeseg run` wrote from anybody else's: its name stands in the file.

Masks and pictures have it where their formats keep the software's name, videos as their comment.
JSON needs none: its fields tell it. Whoever changes a file with another program gets one
that is not edgeseg's any more, and is kept.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["SIGNATURE", "UNKNOWN", "holds_fields", "is_replaceable"]

SIGNATURE: Final = "written by edgeseg run"
# What is said of a file without it.
UNKNOWN: Final = "does not say that edgeseg run wrote it (older versions did not)"

# Where it stands: formats keep such names at their beginning or at their end.
_EDGE_BYTES: Final = 4096
_LINE_BYTES: Final = 1 << 20
_LINE_FIELDS: Final = ("index", "name", "time_s", "shares")


def is_replaceable(path: Path) -> bool:
    """Whether a new output may take the place of what is there: nothing, or an earlier run's.

    An empty file may be replaced, too: programs that reserve a name make one.

    Raises:
        OSError: it cannot be read.
    """
    if not os.path.lexists(path):
        return True
    if path.is_symlink() or not path.is_file():
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(_EDGE_BYTES)
        line = _read_line(first, file) if first.startswith(b"{") else b""
        file.seek(max(0, size - _EDGE_BYTES))
        last = file.read()
    return not size or SIGNATURE.encode() in first + last or _holds(line, *_LINE_FIELDS)


def _read_line(first: bytes, file: BinaryIO) -> bytes:
    """The first line, of which `first` is read already: with many classes it is long."""
    return first.partition(b"\n")[0] if b"\n" in first else first + file.readline(_LINE_BYTES)


def holds_fields(path: Path, *fields: str) -> bool:
    """Whether a file is there that holds one JSON object with these fields."""
    try:
        return _holds(path.read_bytes(), *fields)
    except OSError:
        return False


def _holds(text: bytes, *fields: str) -> bool:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() >= set(fields)
