"""Opens what torch.save and torch.jit.save write, without torch.load.

Both forms of file (the archive, and the one before torch 1.6) hold a pickle and runs of numbers.
One parser reads them; a file that two parsers read in two ways could be a program for the second.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from edgeseg.errors import CheckpointError
from edgeseg.export.weights.lookalikes import explain_cut
from edgeseg.export.weights.unpickle import InertUnpickler, Storage
from edgeseg.text import explain, to_plain

__all__ = ["TorchFile", "read_torch_file"]

_MAGIC: Final = 0x1950A86A20F9469CFC6C  # of files before torch 1.6
_PICKLE: Final = "/data.pkl"
_PROGRAM: Final = ("/constants.pkl", "/code/")  # only TorchScript has them


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchFile:
    """What a file holds; `is_program` says that torch.jit.save wrote it."""

    content: object
    is_program: bool


def read_torch_file(path: Path) -> TorchFile:
    """Read a file of torch; unknown objects become `Inert`, and tensors `Stored`.

    Raises:
        CheckpointError: the file is damaged, or no file of torch.
    """
    try:
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                return _read_archive(path, file)
            file.seek(0)
            return TorchFile(content=_read_old(path, file), is_program=False)
    except Exception as error:  # a hostile or damaged pickle raises any kind
        reason = to_plain(explain(error)) or type(error).__name__
        told = f"cannot be read as a torch checkpoint; is it whole? ({reason})"
        raise CheckpointError(f"{path} {explain_cut(path) or told}") from None


def _read_archive(path: Path, file: IO[bytes]) -> TorchFile:
    with zipfile.ZipFile(file) as archive:
        records = {info.filename: info for info in archive.infolist()}
    roots = [name.removesuffix(_PICKLE) for name in records if name.endswith(_PICKLE)]
    if len(roots) != 1:
        raise ValueError("a zip archive, but not torch's")
    (root,) = roots
    order = records.get(f"{root}/byteorder")
    if order is not None and _read_record(file, order) == b"big":
        raise ValueError("its numbers are stored in the order of big-endian machines")

    def find_storage(key: str, name: str, count: int) -> Storage:
        info = records[f"{root}/data/{key}"]
        storage = Storage(path, name, count, _find_data(file, info))
        if storage.size > info.file_size:
            raise ValueError(f"record {key} is too short")
        return storage

    pickled = io.BytesIO(_read_record(file, records[f"{root}{_PICKLE}"]))
    return TorchFile(
        content=InertUnpickler(pickled, find_storage).load(),
        is_program=any(name.startswith(f"{root}{mark}") for name in records for mark in _PROGRAM),
    )


def _read_record(file: IO[bytes], info: zipfile.ZipInfo) -> bytes:
    file.seek(_find_data(file, info))
    return file.read(info.file_size)


def _find_data(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Find the first byte of a record, which torch stores as it is.

    The checksum is not asked: torch writes none where it is told so, and reads without it.
    """
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError("its records are compressed, as torch's are not")
    file.seek(info.header_offset)
    name, extra = struct.unpack("<HH", file.read(30)[26:])
    first = int(info.header_offset) + 30 + int(name) + int(extra)
    if first + info.file_size > file.seek(0, io.SEEK_END):
        raise ValueError("the file ends too early")
    return first


def _read_old(path: Path, file: IO[bytes]) -> object:
    """Read the form before torch 1.6: five pickles, then the storages one after the other."""
    storages: dict[str, Storage] = {}

    def find_storage(key: str, name: str, count: int) -> Storage:
        return storages.setdefault(key, Storage(path, name, count))

    def load() -> object:
        return InertUnpickler(file, find_storage).load()

    if load() != _MAGIC:
        raise pickle.UnpicklingError("not written by torch.save")
    load()  # the version of the form
    machine = load()
    if isinstance(machine, Mapping) and machine.get("little_endian") is False:
        raise ValueError("its numbers are stored in the order of big-endian machines")
    content, keys = load(), load()
    if not isinstance(keys, list) or not storages.keys() <= set(map(str, keys)):
        raise ValueError("it lacks some of its numbers")
    _place_storages(file, [storages[str(key)] for key in keys])
    return content


def _place_storages(file: IO[bytes], storages: list[Storage]) -> None:
    position = file.tell()
    end = file.seek(0, io.SEEK_END)
    for storage in storages:
        file.seek(position)
        (count,) = struct.unpack("<q", file.read(8))
        storage.position = position + 8
        position = storage.position + storage.size
        if count != storage.count or position > end:
            raise ValueError("the file ends too early")
