"""Tells files that `edgeseg run` wrote from others: edgeseg's name stands in the file.

Masks and pictures have the name where their formats keep the software's name; videos have it in
their comment. JSON needs none: its fields identify it. A file that another program has changed is
no longer edgeseg's, and is kept.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["SIGNATURE", "UNKNOWN", "holds_fields", "is_replaceable"]

SIGNATURE: Final = "written by edgeseg run"
# What a message says of a file without the name.
UNKNOWN: Final = "does not say that edgeseg run wrote it (older versions did not)"

# Formats keep such names at their beginning or at their end.
_EDGE_BYTES: Final = 4096
_LINE_BYTES: Final = 1 << 20
_LINE_FIELDS: Final = ("index", "name", "time_s", "shares")


def is_replaceable(path: Path) -> bool:
    """Check whether a new output may replace what is at `path`: nothing, or an earlier output.

    An empty file may be replaced, too: programs that reserve a name make one.

    Raises:
        OSError: the file cannot be read.
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
    """Read the rest of the first line after `first`; with many classes the line is long."""
    return first.partition(b"\n")[0] if b"\n" in first else first + file.readline(_LINE_BYTES)


def holds_fields(path: Path, *fields: str) -> bool:
    """Check whether `path` is a file that holds one JSON object with these fields."""
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
