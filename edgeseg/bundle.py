"""The bundle: a folder with manifest, artifacts and golden frames. The only thing that travels.

    manifest.json      everything about the model, and the SHA-256 of every other file
    manifest.sha256    the manifest's own
    model.onnx ...     the variants
    golden/            frames, and the masks that the checkpoint's own framework gives for them

Nothing in it is ever executed or unpickled. It is written whole or not at all, and read only
when every byte is as it was written.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from edgeseg.errors import BundleError
from edgeseg.files import sha256_of
from edgeseg.manifest import File, Manifest, VariantInfo, decode_manifest, encode_manifest

__all__ = ["Bundle", "is_bundle", "new_bundle", "open_bundle", "seal_bundle"]

MANIFEST: Final = "manifest.json"
MANIFEST_HASH: Final = "manifest.sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An opened bundle: its files were as the manifest says when it was opened."""

    folder: Path
    manifest: Manifest

    @property
    def chosen(self) -> VariantInfo:
        """The variant that runs."""
        name = self.manifest.chosen.variant
        return next(variant for variant in self.manifest.variants if variant.name == name)

    @property
    def sha256(self) -> str:
        """Of its manifest, which has the hash of every file."""
        return (self.folder / MANIFEST_HASH).read_text("ascii").strip()

    def path(self, name: str) -> Path:
        """A file of the bundle by its name in the manifest."""
        return self.folder / name

    def bytes_of(self, variant: VariantInfo) -> int:
        """The size of what an engine opens for a variant: its file and those beside it."""
        stem = PurePosixPath(variant.file).with_suffix("")
        files = self.manifest.files.items()
        return sum(file.bytes for n, file in files if PurePosixPath(n).with_suffix("") == stem)


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a bundle, whole or not.

    Raises:
        BundleError: that cannot be seen: a name that is too long, or a folder that is closed.
    """
    try:
        return (folder / MANIFEST).is_file()
    except OSError as error:
        raise BundleError(f"{folder} cannot be read: {error.strerror}") from None


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every byte of it.

    Raises:
        BundleError: not a bundle, a newer schema, or a file that is missing or was changed.
    """
    manifest = _read_manifest(folder)
    for name, file in manifest.files.items():
        _check_file(folder, name, file)
    listed = {variant.file for variant in manifest.variants}
    listed |= {path for golden in manifest.golden for path in (golden.frame, golden.mask)}
    if not listed <= manifest.files.keys():
        missing = min(listed - manifest.files.keys())
        raise BundleError(f"{folder / MANIFEST} names {missing}, but holds no hash of it")
    return Bundle(folder=folder, manifest=manifest)


@contextmanager
def new_bundle(folder: Path) -> Iterator[Path]:
    """A staging folder to write into; it takes the place of `folder` when the block succeeds.

    The block ends with `seal_bundle`. When it fails, `folder` is as it was before: the old bundle,
    or nothing. An older bundle in its place is replaced; anything else there is not touched.

    Raises:
        BundleError: something that is not a bundle is in the way, or the disk does not take it.
    """
    folder = folder.resolve()  # `.` has no name to put a staging folder beside
    try:
        if _is_taken(folder):
            raise BundleError(f"{folder} exists and is not a bundle; choose another name with -o")
        staging = folder.with_name(f".{folder.name}.partial")
        with _locked(staging, folder):
            try:
                yield staging
                _swap(staging, folder)
            finally:
                _remove(staging)
    except OSError as error:
        raise BundleError(f"bundle {folder} cannot be written: {error}") from error


def _is_taken(folder: Path) -> bool:
    """Whether something stands there that is neither a bundle nor an empty folder."""
    if not folder.exists() or is_bundle(folder):
        return False
    return not folder.is_dir() or any(folder.iterdir())


def seal_bundle(staging: Path, manifest: Manifest) -> Manifest:
    """Hash every file in a staging folder and write the manifest over them."""
    files = {
        path.relative_to(staging).as_posix(): File(
            sha256=sha256_of(path), bytes=path.stat().st_size
        )
        for path in sorted(staging.rglob("*"))
        if path.is_file()
    }
    sealed = msgspec.structs.replace(manifest, files=files)
    text = encode_manifest(sealed)
    (staging / MANIFEST).write_bytes(text)
    (staging / MANIFEST_HASH).write_text(hashlib.sha256(text).hexdigest() + "\n", "ascii")
    for path in staging.rglob("*"):
        _flush(path)
    _flush(staging)
    return sealed


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not is_bundle(folder) and not folder.is_dir():
        raise BundleError(f"no bundle at {folder}; make one with: edgeseg export -o {folder} ...")
    try:
        text = path.read_bytes()
        expected = (folder / MANIFEST_HASH).read_bytes().strip()
    except OSError as error:
        raise BundleError(
            f"{folder} is not a whole bundle: {error.strerror}: {error.filename}; export it again"
        ) from None
    # The schema comes first: a newer one may be hashed in another way.
    manifest = decode_manifest(text, origin=str(path))
    if hashlib.sha256(text).hexdigest().encode() != expected:
        raise BundleError(
            f"{path} or {MANIFEST_HASH} was changed since the bundle was written; export it again"
        )
    return manifest


def _check_file(folder: Path, name: str, file: File) -> None:
    path = folder / name
    if not _is_inside(folder, name):
        raise BundleError(f"{folder / MANIFEST} names {name!r}, which is not a file inside it")
    try:
        if not path.is_file():  # nor a pipe or a device, which could be read for ever
            raise BundleError(f"{path} is missing; export the bundle again")
        same = path.stat().st_size == file.bytes and sha256_of(path) == file.sha256
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from None
    if not same:
        raise BundleError(f"{path} was changed since the bundle was written; export it again")


def _is_inside(folder: Path, name: str) -> bool:
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        return False
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a NUL in the name
        return False


@contextmanager
def _locked(staging: Path, folder: Path) -> Iterator[None]:
    """Make an empty staging folder and keep other writers out while the block runs.

    What a crash left behind is locked by nobody, and removed.
    """
    staging.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(staging, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.path.samestat(os.fstat(descriptor), staging.stat())
        except (BlockingIOError, FileNotFoundError):
            mine = False
        if not mine:
            raise BundleError(f"{folder} is being written by another process; try again later")
        for leftover in staging.iterdir():
            _remove(leftover)
        yield
    finally:
        os.close(descriptor)


def _swap(staging: Path, folder: Path) -> None:
    """Put `staging` in the place of `folder`. A crash between the two renames leaves none."""
    retired = folder.with_name(f".{folder.name}.old")
    _remove(retired)
    if folder.exists():
        folder.rename(retired)
    try:
        staging.rename(folder)
    except OSError:
        if retired.exists():
            retired.rename(folder)
        raise
    _flush(folder.parent)
    _remove(retired)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have the disk hold a file or folder before anything that depends on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
