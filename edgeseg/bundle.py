"""The bundle: a folder with manifest, artifacts and golden frames. The only thing that travels.

    manifest.json      everything about the model, and the SHA-256 of every other file
    manifest.sha256    the manifest's own
    model.onnx ...     the variants
    golden/            frames, and the masks that the checkpoint's own framework gives for them

Nothing in it is ever executed or unpickled. It is written whole or not at all, and read only
when every byte is as it was written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from edgeseg.errors import BundleError, SpecError
from edgeseg.labels import Labels
from edgeseg.spec import InputSpec

__all__ = [
    "SCHEMA",
    "Bundle",
    "CheckpointInfo",
    "Chosen",
    "File",
    "Golden",
    "Manifest",
    "ModelInfo",
    "Parity",
    "Tensor",
    "VariantInfo",
    "as_json",
    "is_bundle",
    "new_bundle",
    "open_bundle",
    "seal_bundle",
    "sha256_of",
]

SCHEMA: Final = 1
MANIFEST: Final = "manifest.json"
MANIFEST_HASH: Final = "manifest.sha256"


class _Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Immutable, and read from JSON with its types checked."""


class File(_Value, frozen=True, kw_only=True):
    """One file of the bundle."""

    sha256: str
    bytes: int


class Tensor(_Value, frozen=True, kw_only=True):
    """A graph's input or output."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: str


class ModelInfo(_Value, frozen=True, kw_only=True):
    """The network: SegFormer of which size and kind."""

    variant: str
    head: str
    decoder_width: int
    params: int
    macs: int


class CheckpointInfo(_Value, frozen=True, kw_only=True):
    """Where the weights come from. `license` is `unknown` where nothing says it."""

    source: str
    layout: str
    sha256: str
    license: str


class Parity(_Value, frozen=True, kw_only=True):
    """How far the FP32 graph's logits are from the checkpoint's own network."""

    max_abs_diff: float
    images: int
    image_source: str


class VariantInfo(_Value, frozen=True, kw_only=True):
    """One artifact: `file` is what the engine opens."""

    name: str
    precision: str
    file: str
    recipe: str
    int8_share: float = 0.0


class Chosen(_Value, frozen=True, kw_only=True):
    """The variant that runs, and why it does."""

    variant: str
    reason: str


class Golden(_Value, frozen=True, kw_only=True):
    """A frame, the reference mask for it, and each variant's pixel agreement with it in points."""

    frame: str
    mask: str
    agreement: dict[str, float]


class Manifest(_Value, frozen=True, kw_only=True):
    """All that is known about a bundle. `files` is filled in when the bundle is sealed."""

    schema: int = SCHEMA
    name: str
    target: str
    model: ModelInfo
    labels: Labels
    input: InputSpec
    input_tensor: Tensor
    output_tensor: Tensor
    variants: tuple[VariantInfo, ...]
    chosen: Chosen
    checkpoint: CheckpointInfo
    parity: Parity
    golden: tuple[Golden, ...]
    tools: dict[str, str]
    files: dict[str, File] = {}


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

    def path(self, name: str) -> Path:
        """A file of the bundle by its name in the manifest."""
        return self.folder / name


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a bundle, whole or not."""
    return (folder / MANIFEST).is_file()


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every byte of it.

    Raises:
        BundleError: not a bundle, a newer schema, or a file that is missing or was changed.
    """
    manifest = _read_manifest(folder)
    for name, file in manifest.files.items():
        _check_file(folder, name, file)
    names = {variant.name for variant in manifest.variants}
    if manifest.chosen.variant not in names:
        raise BundleError(f"{folder / MANIFEST} chooses a variant that it does not have")
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
    if folder.exists() and not is_bundle(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder} exists and is not a bundle; choose another name with -o")
    staging = folder.with_name(f".{folder.name}.partial")
    try:
        _remove(staging)
        staging.mkdir(parents=True)
        yield staging
        _swap(staging, folder)
    except OSError as error:
        raise BundleError(f"bundle {folder} cannot be written: {error}") from error
    finally:
        _remove(staging)


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
    text = msgspec.json.format(msgspec.json.encode(sealed), indent=2) + b"\n"
    (staging / MANIFEST).write_bytes(text)
    (staging / MANIFEST_HASH).write_text(hashlib.sha256(text).hexdigest() + "\n", "ascii")
    for path in staging.rglob("*"):
        _flush(path)
    _flush(staging)
    return sealed


def sha256_of(path: Path) -> str:
    """Hash a file, a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise BundleError(f"no bundle at {folder}; make one with: edgeseg export -o {folder} ...")
    try:
        text = path.read_bytes()
        expected = (folder / MANIFEST_HASH).read_text("ascii").strip()
    except UnicodeDecodeError:
        raise BundleError(
            f"{folder / MANIFEST_HASH} was changed; export the bundle again"
        ) from None
    except OSError as error:
        raise BundleError(
            f"{folder} is not a whole bundle: {error.strerror}: {error.filename}"
        ) from None
    _check_schema(path, text)
    if hashlib.sha256(text).hexdigest() != expected:
        raise BundleError(
            f"{path} or {MANIFEST_HASH} was changed since the bundle was written; export it again"
        )
    try:
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, SpecError) as error:
        raise BundleError(f"{path} is not a manifest of schema {SCHEMA}: {error}") from None


def _check_schema(path: Path, text: bytes) -> None:
    """Look at the schema alone, first: everything else may have changed with it."""

    class _Schema(msgspec.Struct):
        schema: int

    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
    except msgspec.MsgspecError as error:
        raise BundleError(f"{path} is not a manifest: {error}; export the bundle again") from None
    if schema > SCHEMA:
        raise BundleError(
            f"{path} has schema {schema}, this edgeseg reads up to {SCHEMA}; "
            f"run: pip install --upgrade edgeseg"
        )


def _check_file(folder: Path, name: str, file: File) -> None:
    parts = PurePosixPath(name).parts
    path = folder / name
    inside = parts and ".." not in parts and not PurePosixPath(name).is_absolute()
    if not inside or not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"{folder / MANIFEST} names {name!r}, which is not a file inside it")
    if not path.is_file():  # nor a pipe or a device, which could be read for ever
        raise BundleError(f"{path} is missing; export the bundle again")
    try:
        same = path.stat().st_size == file.bytes and sha256_of(path) == file.sha256
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from None
    if not same:
        raise BundleError(f"{path} was changed since the bundle was written; export it again")


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


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _flush(path: Path) -> None:
    """Have the disk hold a file or folder before anything that depends on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_json(value: object) -> Mapping[str, object]:
    """A manifest, or part of one, as plain JSON values."""
    plain: Mapping[str, object] = msgspec.to_builtins(value)
    return plain
