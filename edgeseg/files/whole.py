"""Writes files whole or not at all, and hashes them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["compute_sha256", "write_file", "write_files", "write_whole"]


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


def write_file(path: Path, content: bytes) -> None:
    """Write one file whole or not at all.

    Raises:
        OSError: the folder does not take the file. The error names it, even if the disk is full.
    """
    write_files({path: content})


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files whole; none takes its name before all of them are written.

    The files take their names in the order of `contents`.

    Raises:
        OSError: a folder does not take its file. The error names the file.
    """
    with ExitStack() as stack:
        # The stack unwinds backwards, so the last file to enter is the first to take its name.
        for path, content in reversed(list(contents.items())):
            stack.enter_context(write_whole(path)).write_bytes(content)


def compute_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
