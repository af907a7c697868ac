"""Writes a bundle: stages it beside its final name, seals it, and swaps it for an older one.

Only a bundle that edgeseg wrote is replaced, and only while it holds no file of its user's.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from edgeseg.bundle.manifest import SCHEMA, File, Manifest, decode_manifest, encode_manifest
from edgeseg.bundle.store import MANIFEST, MANIFEST_HASH, is_bundle
from edgeseg.errors import BundleError
from edgeseg.files.locks import hold_lock, name_lock_beside
from edgeseg.files.mounts import is_mount_point
from edgeseg.files.whole import compute_sha256
from edgeseg.text import explain, list_some

__all__ = ["check_replaceable", "new_bundle", "remove_bundle", "seal_bundle"]

# Errors of a full disk, which name no file.
_DISK: Final = {errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS}
# At most this many foreign files are named.
_NAMED: Final = 3


def check_replaceable(folder: Path) -> Manifest | None:
    """Read the manifest of the bundle to replace; return None where nothing is there.

    Raises:
        BundleError: what is there is not edgeseg's, or not edgeseg's alone.
    """
    try:
        if folder.is_symlink():
            raise BundleError(f"{folder} is a symbolic link; name the folder itself with -o")
        if not folder.exists():
            return None
        if not folder.is_dir():
            raise BundleError(f"{folder} exists and is not a bundle; choose another name with -o")
        if is_mount_point(folder):
            raise BundleError(
                f"{folder} is a mount point, and a bundle is renamed as a whole; name a folder in "
                f"it: -o {folder / 'NAME'}"
            )
        if not any(folder.iterdir()):
            return None
        return _read_own_manifest(folder)
    except OSError as error:
        raise BundleError(f"bundle {folder} cannot be written: {error.strerror}") from None


def _read_own_manifest(folder: Path) -> Manifest:
    if not is_bundle(folder):
        raise BundleError(f"{folder} exists and is not a bundle; choose another name with -o")
    try:
        manifest = decode_manifest((folder / MANIFEST).read_bytes(), origin=str(folder / MANIFEST))
    except BundleError:
        raise BundleError(
            f"{folder} exists and its {MANIFEST} is not one of schema {SCHEMA}; remove the folder, "
            f"or choose another name with -o"
        ) from None
    foreign = _find_foreign(folder, manifest)
    if foreign:
        raise BundleError(
            f"{folder} holds what is not the bundle's: {list_some(foreign, _NAMED)}; move "
            f"it away, or choose another name with -o"
        )
    return manifest


def _find_foreign(folder: Path, manifest: Manifest) -> list[str]:
    """List the files and folders in a bundle's folder that its manifest does not list."""
    own = {MANIFEST, MANIFEST_HASH, *manifest.files}
    own |= {str(parent) for name in own for parent in Path(name).parents}
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")))
    return [name for name in found if name not in own]


def remove_bundle(folder: Path) -> None:
    """Remove a bundle, if there is one.

    Raises:
        BundleError: what is there is not edgeseg's, or not edgeseg's alone.
        OSError: it cannot be removed.
    """
    if check_replaceable(folder) is not None:
        shutil.rmtree(folder)


@contextmanager
def new_bundle(folder: Path) -> Iterator[Path]:
    """Give a staging folder, which replaces `folder` when the block succeeds.

    The block ends with `seal_bundle`. When the block fails, `folder` is as it was before: the old
    bundle, or nothing. An older bundle is replaced; anything else under that name is not touched.
    A bundle that is whole, and cannot take its name, is kept beside it; the error says where.

    Raises:
        BundleError: what is in the way is not edgeseg's, or the disk does not take the bundle.
        BusyError: another process is writing it.
    """
    check_replaceable(folder)
    folder = folder.resolve()  # `.` has no name, and the staging folder needs one
    staging = folder.with_name(f".{folder.name}.edgeseg-partial")
    retired = folder.with_name(f".{folder.name}.edgeseg-old")
    try:
        with hold_lock(name_lock_beside(folder), f"bundle {folder}") as held:
            if held.alone:
                _clear(staging, retired, folder)
            elif staging.exists():
                raise BundleError(
                    f"bundle {folder} cannot be written: another process writes {staging}, or a "
                    f"killed one left it; remove it if none does"
                )
            staging.mkdir()
            try:
                yield staging
                _take_name(staging, retired, folder)
            finally:
                _clear(staging, retired, folder)
    except OSError as error:
        told = _explain(error, folder, staging)
        if told is None:
            raise
        raise BundleError(told) from error


def _explain(error: OSError, folder: Path, staging: Path) -> str | None:
    """Explain an error of a file in the bundle; None for errors of anything else, as a pipe."""
    if error.filename is None:
        return (
            f"bundle {folder} cannot be written: {error.strerror}" if error.errno in _DISK else None
        )
    place = Path(str(error.filename)).absolute()
    ours = place.parent == folder.parent or place.is_relative_to(staging)
    ours = ours or folder.is_relative_to(place)
    what = "cannot be written" if ours else "was not made"
    return f"bundle {folder} {what}: {error.filename}: {error.strerror}"


def seal_bundle(staging: Path, manifest: Manifest) -> Manifest:
    """Hash every file in a staging folder and write the manifest over them."""
    files = {
        path.relative_to(staging).as_posix(): File(
            sha256=compute_sha256(path), bytes=path.stat().st_size
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


def _take_name(staging: Path, retired: Path, folder: Path) -> None:
    """Swap the new bundle for the old one; keep the new one under a free name where this fails."""
    try:
        check_replaceable(folder)  # files may have come there since the first check
        _swap(staging, retired, folder)
    except (BundleError, OSError) as error:
        if not staging.exists():  # it has its name already
            raise
        names = (folder.with_name(f"{folder.name}-{count}") for count in itertools.count(2))
        kept = staging.rename(next(name for name in names if not os.path.lexists(name)))
        reason = str(error) if isinstance(error, BundleError) else explain(error)
        raise BundleError(
            f"bundle {folder} cannot be replaced: {reason}; the new one is kept as {kept}"
        ) from None


def _clear(staging: Path, retired: Path, folder: Path) -> None:
    """Remove what is left of a write; if it ended between two renames, restore the old bundle.

    The write may be this process's own, or that of a killed one. Both names are edgeseg's, and the
    holder of the lock owns them. That a killed process left them is not always known: a full disk
    takes no signature.
    """
    _remove(staging)
    if retired.exists() and not folder.exists():
        retired.rename(folder)
    _remove(retired)


def _swap(staging: Path, retired: Path, folder: Path) -> None:
    """Put `staging` in the place of `folder`; `retired` holds the old one until `_clear`."""
    if folder.exists():
        folder.rename(retired)
    staging.rename(folder)
    _flush(folder.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Make sure the disk holds a file or folder before anything that depends on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
