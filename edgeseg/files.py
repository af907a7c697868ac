"""Files that are there whole or not at all, and the hash of what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["sha256_of", "written_whole"]


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to: it takes the name at the end, or goes if the block fails.

    The ending stays last, for writers that go by it.

    Raises:
        OSError: the folder does not take it.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Hash a file, a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
