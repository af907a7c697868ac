"""Before anything is opened: outputs that would destroy something are refused, the others held."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgeseg.errors import SinkError
from edgeseg.locks import lock_beside, locked
from edgeseg.runtime.sinks.masks import LEGEND
from edgeseg.runtime.sinks.outputs import Outputs
from edgeseg.runtime.sources import files_of
from edgeseg.signature import is_replaceable
from edgeseg.text import because

__all__ = ["claimed"]


@contextmanager
def claimed(outputs: Outputs, uri: str | int, bundle: Path) -> Iterator[None]:
    """Hold the outputs of a run of `bundle` on the source `uri` while the block runs.

    Raises:
        SinkError: one would replace what is read, another one, or what no run wrote.
        BusyError: another process writes one of them.
        SourceError: the source is not there.
    """
    with ExitStack() as stack:
        try:
            _check(outputs, uri, bundle)
            for name in sorted(outputs.files):
                stack.enter_context(locked(lock_beside(Path(name).resolve()), name))
        except OSError as error:
            raise SinkError(f"{error.filename} cannot be written: {because(error)}") from None
        yield


def _check(outputs: Outputs, uri: str | int, bundle: Path) -> None:
    names = [Path(name) for name in outputs.files]
    real = [name.resolve() for name in names]
    read = files_of(uri)
    for name, path in zip(names, real, strict=True):
        if real.count(path) > 1:
            raise SinkError(f"{name} is named for two outputs; give each its own")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SinkError(f"{name} is a device or a pipe, not a file; use - for stdout")
        if path.is_relative_to(bundle.resolve()):
            raise SinkError(f"{name} lies in the bundle {bundle}; write somewhere else")
        _check_unread(name, str(uri), read)
    if outputs.masks is not None:
        _check_masks(outputs.masks, read)
    _check_free(name for name in names if name != outputs.masks)


def _check_free(names: Iterable[Path]) -> None:
    for name in names:
        if name.is_dir():
            raise SinkError(f"{name} cannot be written: it is a folder")
        if not is_replaceable(name):
            raise SinkError(
                f"{name} exists and no edgeseg run wrote it; remove it, or give another name"
            )


def _check_unread(name: Path, uri: str, read: Sequence[Path]) -> None:
    """Neither a file that is read, nor in a folder that is read, nor a folder of files read."""
    path, source = name.resolve(), Path(uri)
    within = bool(read) and source.is_dir() and path.parent == source.resolve()
    folders = {file.resolve().parent for file in read}
    if within or path in folders or any(_same(path, file) for file in read):
        raise SinkError(f"{name} lies where {uri} is read from; write somewhere else")


def _same(path: Path, file: Path) -> bool:
    """By whatever names: links, too."""
    return path == file.resolve() or (path.exists() and path.samefile(file))


def _check_masks(folder: Path, read: Sequence[Path]) -> None:
    """Each mask has a name of its own, and takes the place of a mask of an earlier run at most."""
    if folder.exists() and not folder.is_dir():
        raise SinkError(f"masks cannot go to {folder}: it is a file, give a folder")
    for first, second in itertools.pairwise(sorted(read, key=lambda file: file.stem)):
        if first.stem == second.stem:
            raise SinkError(
                f"{first} and {second} would both become {folder / first.stem}.png; rename one, "
                f"or run them apart"
            )
    images = {file.stem for file in read}
    for path in sorted((*folder.glob("*.png"), *folder.glob(LEGEND))):
        # Frames are numbered, if they are not images.
        taken = path.name == LEGEND or path.stem in images or path.stem.isdecimal()
        if taken and not is_replaceable(path):
            raise SinkError(
                f"{path} exists and no edgeseg run wrote it; move it away, or give another folder"
            )
