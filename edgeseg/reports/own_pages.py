"""Writes the pages and pictures that a command makes, over none but its own."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

from edgeseg.errors import ReportError
from edgeseg.files.whole import write_file
from edgeseg.text import explain

__all__ = ["check_own_page", "write_own_page"]


def check_own_page(path: Path, *, mark: str, what: str) -> None:
    """Check, before the work that fills it, that a file may be written to `path`.

    `mark` is text that stands near the beginning of each such file; `what` names the kind of file,
    such as "page of edgeseg data".

    Raises:
        ReportError: the folder is not there or takes no file, or the file was not written by the
            same command.
    """
    try:
        if path.is_dir():
            raise ReportError(f"{path} is a folder; name a file in it")
        if not path.parent.is_dir():
            raise ReportError(
                f"{path} lies in a folder that is not there; make {path.parent} first"
            )
        if path.exists() and mark.encode() not in path.read_bytes()[:4096]:
            raise ReportError(f"{path} is no {what}; choose another name")
        # Permissions alone do not tell: a disk may be full, or mounted for reading.
        with TemporaryFile(dir=path.parent) as trial:
            trial.write(b"\0")
    except OSError as error:
        raise _refuse(path, error) from None


def write_own_page(path: Path, text: str) -> None:
    """Write the file, whole or not at all.

    Raises:
        ReportError: it cannot be written.
    """
    try:
        write_file(path, text.encode())
    except OSError as error:
        raise _refuse(path, error) from None


def _refuse(path: Path, error: OSError) -> ReportError:
    return ReportError(f"{path} cannot be written: {explain(error)}; choose another")
