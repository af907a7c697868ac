"""Writes files whole or not at all, and hashes them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["compute_sha256", "write_whole"]


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it is renamed at the end, or removed on failure.

    Each call has a path of its own, so that two writers do not mix. The ending stays last, for
    writers that look at it.

    Raises:
        OSError: the folder does not take the file. The error names it, even if the disk is full.
    """
    partial = path.with_name(f".{secrets.token_hex(8)}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        # An error of writing, unlike one of opening, names no file.
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def compute_sha256(path: Path) -> str:
    """Hash a file, a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
