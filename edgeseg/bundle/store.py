"""The bundle: a folder with manifest, artifacts and golden frames. The only thing that travels.

    manifest.json      everything about the model, and the SHA-256 of every other file
    manifest.sha256    the SHA-256 of the manifest
    model.onnx ...     the variants
    golden/            frames, and the masks that the checkpoint's own framework gives for them
    sizes/HxW/         complete bundles of the same weights for smaller inputs, if there are any

Nothing in it is ever executed or unpickled. It is written whole or not at all
(edgeseg.bundle.staging), and read only when every byte is as it was written.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from edgeseg.bundle.manifest import File, Manifest, SizeInfo, VariantInfo, decode_manifest
from edgeseg.errors import BundleError
from edgeseg.files.whole import compute_sha256

__all__ = [
    "MANIFEST",
    "MANIFEST_HASH",
    "Bundle",
    "is_bundle",
    "open_bundle",
    "open_sizes",
    "resembles_bundle",
]

MANIFEST: Final = "manifest.json"
MANIFEST_HASH: Final = "manifest.sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An opened bundle, whose files matched the manifest when it was opened."""

    folder: Path
    manifest: Manifest

    @property
    def chosen(self) -> VariantInfo:
        """The variant that runs."""
        name = self.manifest.chosen.variant
        return next(variant for variant in self.manifest.variants if variant.name == name)

    @property
    def sha256(self) -> str:
        """The hash of the manifest, which holds the hash of every file."""
        return (self.folder / MANIFEST_HASH).read_text("ascii").strip()

    def path(self, name: str) -> Path:
        """Return the path of a file by its name in the manifest."""
        return self.folder / name

    def bytes_of(self, variant: VariantInfo) -> int:
        """Count the bytes of what runs one source: a variant's file and those beside it."""
        stem = PurePosixPath(variant.file).with_suffix("")
        files = self.manifest.files.items()
        return sum(file.bytes for n, file in files if PurePosixPath(n).with_suffix("") == stem)


def is_bundle(folder: Path) -> bool:
    """Check for a bundle's two manifest files: a manifest.json alone may be anybody's.

    Raises:
        BundleError: the name is too long, or the folder cannot be looked into.
    """
    return all(_find_parts(folder))


def resembles_bundle(folder: Path) -> bool:
    """Check for at least one of the manifest files: the folder is or was a bundle.

    Raises:
        BundleError: see `is_bundle`.
    """
    return any(_find_parts(folder))


def _find_parts(folder: Path) -> list[bool]:
    try:
        return [(folder / name).is_file() for name in (MANIFEST, MANIFEST_HASH)]
    except OSError as error:
        raise BundleError(f"{folder} cannot be read: {error.strerror}") from None


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every byte of it.

    Raises:
        BundleError: the folder is no bundle, its schema is newer, or a file is missing or changed.
    """
    manifest = _read_manifest(folder)
    for name, file in manifest.files.items():
        _check_file(folder, name, file)
    listed = {name for variant in manifest.variants for name in variant.files}
    listed |= {path for golden in manifest.golden for path in (golden.frame, golden.mask)}
    listed |= {
        f"{size.folder}/{name}" for size in manifest.sizes for name in (MANIFEST, MANIFEST_HASH)
    }
    if not listed <= manifest.files.keys():
        missing = min(listed - manifest.files.keys())
        raise BundleError(f"{folder / MANIFEST} names {missing}, but holds no hash of it")
    return Bundle(folder=folder, manifest=manifest)


def open_sizes(bundle: Bundle) -> list[Bundle]:
    """Open the bundles of smaller inputs inside a bundle, the largest first.

    Raises:
        BundleError: one is no bundle, was changed, or is of other weights, classes or another size.
    """
    return [_open_size(bundle, size) for size in bundle.manifest.sizes]


def _open_size(bundle: Bundle, size: SizeInfo) -> Bundle:
    inner, outer = open_bundle(bundle.path(size.folder)), bundle.manifest
    own = inner.manifest
    differences = {
        "of another size": (own.input.height, own.input.width) != (size.height, size.width),
        "of other weights": own.checkpoint.sha256 != outer.checkpoint.sha256,
        "of other classes": own.labels != outer.labels,
        "for another target": own.target != outer.target,
        "for other channels": own.input.channels != outer.input.channels,
    }
    found = [what for what, differs in differences.items() if differs]
    if found:
        raise BundleError(
            f"{inner.folder} is {' and '.join(found)} than {bundle.folder} says; export it again"
        )
    return inner


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not is_bundle(folder) and not folder.is_dir():
        raise BundleError(
            f"no bundle at {folder}; is the name right? A checkpoint becomes a bundle with: "
            f"edgeseg export --weights CHECKPOINT"
        )
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
        if not path.is_file():  # a pipe or a device could be read for ever
            raise BundleError(f"{path} is missing; export the bundle again")
        same = path.stat().st_size == file.bytes and compute_sha256(path) == file.sha256
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
    except (OSError, RuntimeError, ValueError):  # links in a loop, or a NUL in the name
        return False
