"""Refuses outputs that would destroy files, and locks the others, before anything is opened."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeseg.errors import SinkError
from edgeseg.files.mounts import is_mount_point
from edgeseg.files.signature import UNKNOWN, is_replaceable
from edgeseg.images import IMAGE_SUFFIXES
from edgeseg.progress import Say
from edgeseg.runtime.sinks.masks import LEGEND
from edgeseg.runtime.sinks.outputs import Outputs, check_ending
from edgeseg.runtime.sinks.partial import name_partial, reserve
from edgeseg.runtime.sinks.recording import is_segment
from edgeseg.runtime.sinks.sender import check_can_send
from edgeseg.runtime.sources import list_files_read
from edgeseg.text import explain

__all__ = ["claim_outputs"]


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The files that a run reads: as they are named, by their real paths, and by their inodes."""

    files: Sequence[Path]
    paths: frozenset[Path]
    inodes: frozenset[tuple[int, int] | None]

    def hold(self, path: Path) -> bool:
        """Tell whether `path`, a real path, is one of the files, by links too."""
        return path in self.paths or _find_inode(path) in self.inodes


def _list_inputs(uri: str | int) -> _Inputs:
    """List the files, and look each up once: a folder may hold a hundred thousand."""
    files = list_files_read(uri)
    inodes = frozenset(map(_find_inode, files)) - {None}
    return _Inputs(files, frozenset(file.resolve() for file in files), inodes)


def _find_inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


@contextmanager
def claim_outputs(
    outputs: Outputs,
    uri: str | int,
    bundle: Path,
    *,
    frames: int | None,
    beside: Sequence[str | int] = (),
    say: Say,
) -> Iterator[None]:
    """Lock the outputs of a run of `bundle` on the source `uri` while the block runs.

    `frames` is the most frames that the run takes of the source, `beside` are its other sources.
    `say` receives a line about files that a killed run left.

    Raises:
        SinkError: an output would replace a file that is read, another output, or a file that no
            run wrote; or the output cannot hold all frames, or be sent to from here.
        BusyError: another process writes one of the outputs.
        SourceError: the source is not there.
    """
    if outputs.restream is not None:
        check_can_send(outputs.restream)
    with ExitStack() as stack:
        try:
            _check(outputs, uri, bundle, several=bool(beside))
            for other in beside:
                read = _list_inputs(other)
                for name in outputs.files:
                    _check_unread(Path(name), str(other), read, several=True)
                _check_segments(outputs.save, str(other), read)
            if outputs.picture and frames != 1:
                _check_one_frame(outputs, uri, several=bool(beside))
            for name in sorted(outputs.files):
                stack.enter_context(reserve(Path(name).resolve(), name, say=say))
        except OSError as error:
            raise SinkError(f"{error.filename} cannot be written: {explain(error)}") from None
        yield


def _check(outputs: Outputs, uri: str | int, bundle: Path, *, several: bool) -> None:
    if outputs.save is not None:
        check_ending(outputs.save)
    names = [Path(name) for name in outputs.files]
    real = [name.resolve() for name in names]
    read = _list_inputs(uri)
    for name, path in zip(names, real, strict=True):
        if real.count(path) > 1:
            raise SinkError(f"{name} is named for two outputs; give each its own")
        _check_kind(name, path)
        if path.is_relative_to(bundle.resolve()):
            raise SinkError(f"{name} lies in the bundle {bundle}; write somewhere else")
        _check_unread(name, str(uri), read, several=several)
        if read.hold(name_partial(path)):
            raise SinkError(
                f"{uri} holds {name_partial(path).name}, as {name} is called until it is whole; "
                f"give another name"
            )
    _check_segments(outputs.save, str(uri), read)
    for folder in outputs.folders:
        _check_folder(folder, read.files)
    _check_free(name for name in names if name not in outputs.folders)


def _check_kind(name: Path, path: Path) -> None:
    """Refuse an output that no file or folder can take the place of; `path` is its real path."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SinkError(f"{name} is a device or a pipe, not a file; use - for stdout")
    if path.is_file() and is_mount_point(path):
        raise SinkError(
            f"{name} is mounted alone, and a whole file replaces it at the end; mount its folder "
            f"in its place"
        )


def _check_one_frame(outputs: Outputs, uri: str | int, *, several: bool) -> None:
    assert outputs.save is not None, "it is a picture"
    read = list_files_read(uri)
    if len(read) != 1 or read[0].suffix.lower() not in IMAGE_SUFFIXES:
        path, folder = outputs.save, outputs.save.with_suffix("")
        others = f"save a video (.mp4), a folder of pictures (--save {folder}/), or add --frames 1"
        if several:  # --frames 1 would take one frame of all of them together
            others = "save a video (.mp4) or a folder of pictures, as --save overlays/"
        raise SinkError(f"{path} takes one frame, and the source may have more; {others}")


def _check_free(names: Iterable[Path]) -> None:
    for name in names:
        if name.is_dir():
            raise SinkError(f"{name} cannot be written: it is a folder; name a file in it")
        if not is_replaceable(name):
            raise SinkError(f"{name} exists and {UNKNOWN}; remove it, or give another name")


def _check_unread(name: Path, uri: str, read: _Inputs, *, several: bool) -> None:
    """Refuse an output that is a file read, lies in a folder read, or holds files read."""
    path, source = name.resolve(), Path(uri)
    within = bool(read.files) and source.is_dir() and path.parent == source.resolve()
    folders = {file.parent for file in read.paths}
    if within or path in folders or read.hold(path):
        why = ": each of several sources has a folder of its name" if several else ""
        raise SinkError(f"{name} lies where {uri} is read from; write somewhere else{why}")


def _check_segments(save: Path | None, uri: str, read: _Inputs) -> None:
    """Refuse a recording that may go on in a file that is read, because edgeseg wrote that file."""
    for file in read.paths:
        if save is not None and is_segment(file, save.resolve()) and is_replaceable(file):
            raise SinkError(
                f"{uri} is read, and {save} goes on in such a file when the size of the frames "
                f"changes; give another name"
            )


def _check_folder(folder: Path, read: Sequence[Path]) -> None:
    """Check that pictures have different names, and replace only pictures of an earlier run."""
    if folder.exists() and not folder.is_dir():
        raise SinkError(f"{folder} cannot be written: it is a file, and a folder is needed")
    for first, second in itertools.pairwise(sorted(read, key=lambda file: file.stem)):
        if first.stem == second.stem:
            raise SinkError(
                f"{first} and {second} would both become {folder / first.stem}.png; rename one, "
                f"or run them apart"
            )
    images = {file.stem for file in read}
    # The mask of a GeoTIFF is one, too.
    rasters = {f"{file.stem}.tif" for file in read if file.suffix.lower() in {".tif", ".tiff"}}
    for path in sorted((*folder.glob("*.png"), *folder.glob("*.tif"), *folder.glob(LEGEND))):
        if path.suffix == ".png":  # frames that are not images are named by number
            taken = path.stem in images or path.stem.isdecimal()
        else:
            taken = path.name == LEGEND or path.name in rasters
        if taken and not is_replaceable(path):
            raise SinkError(f"{path} exists and {UNKNOWN}; move it away, or give another folder")
