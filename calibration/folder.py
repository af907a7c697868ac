"""Writes the folder of a calibration set with all of its images, or does not write it at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeGuard

from edgeseg.errors import SourceError
from edgeseg.progress import Say
from edgeseg.runtime.sinks.partial import name_partial, reserve

__all__ = ["new_folder"]


@contextmanager
def new_folder(folder: Path, uri: str | int, *, say: Say) -> Iterator[Path]:
    """Give a temporary folder beside `folder`; move its files there when the block succeeds.

    When the block fails, the temporary folder is removed; when only the last step fails, it stays.
    `say` receives a line about files that a killed process left behind.

    Raises:
        SinkError: the temporary folder's name is taken, perhaps by somebody's own files.
        SourceError: `folder` is not empty, lies where `uri` is read from, or cannot be written.
        BusyError: another process writes `folder`.
    """
    with ExitStack() as stack:
        try:
            _check(folder, uri)
            folder = folder.resolve()  # `.` has no name to derive the temporary one from
            stack.enter_context(reserve(folder, folder, say=say))
            partial = name_partial(folder)
            partial.mkdir()
        except OSError as error:
            raise SourceError(f"{folder} cannot be written: {error.strerror}") from None
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        try:
            folder.mkdir(exist_ok=True)
            for path in sorted(partial.iterdir()):
                path.rename(folder / path.name)
            partial.rmdir()
        except OSError as error:
            raise SourceError(
                f"{folder} cannot be written: {error.strerror}; what there is stays in {partial}"
            ) from None


def _check(folder: Path, uri: str | int) -> None:
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise SourceError(f"{folder} exists and is not an empty folder; choose another with -o")
    if _is_folder(uri) and folder.resolve().parent == Path(uri).resolve():
        raise SourceError(f"{folder} lies where {uri} is read from; write somewhere else")


def _is_folder(uri: str | int) -> TypeGuard[str]:
    """Tell whether a source is a folder; an error here is reported when the source is opened."""
    try:
        return isinstance(uri, str) and Path(uri).is_dir()
    except OSError:
        return False
