"""Files that are there whole or not at all, and the hash of what is in them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["compute_sha256", "write_whole"]


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to: it takes the name at the end, or goes if the block fails.

    Each call has a place of its own, so that two writers do not mix. The ending stays last, for
    writers that go by it.

    Raises:
        OSError: the folder does not take it. It names the file, also where the disk is full.
    """
    partial = path.with_name(f".{secrets.token_hex(8)}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        # Unlike opening, writing names no file.
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
