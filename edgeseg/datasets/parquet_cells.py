"""Pictures in the rows of a Parquet file, each of which is read like a file of its own.

Rows are read one after another, and none but the last is kept. To go back, a row's group is read
again from its beginning. pyarrow may hold a whole group: it writes the pictures of one as one page.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from edgeseg.datasets.location import is_remote
from edgeseg.errors import MissingPackageError
from edgeseg.machine.extras import make_install_command
from edgeseg.text import explain

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

__all__ = ["Cell", "Group", "open_table"]

_BUFFER_BYTES: Final = 1 << 20


def open_table(path: Path) -> ParquetFile:
    """Open a Parquet file; only its footer is read.

    Raises:
        MissingPackageError: pyarrow is not installed.
        ValueError: it is no Parquet file, or cannot be read.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise MissingPackageError(
            "pyarrow", purpose="reading Parquet files", command=make_install_command(["parquet"])
        ) from None
    try:
        source = path.open("rb") if is_remote(path) else str(path)
        return parquet.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (OSError, ArrowException) as error:
        raise ValueError(explain(error)) from None


@dataclass(frozen=True, slots=True)
class Group:
    """A group of rows of a file, of which the columns of images and of masks are read.

    `first` is the number of the group's first row in the file.
    """

    file: Path
    number: int
    first: int
    columns: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture in a row of a group, with those methods of pathlib.Path that reading needs.

    `is_array` says that it is a list of rows of ids, which is read as a `.npy` file.
    """

    group: Group
    row: int
    column: str
    is_array: bool = False

    def __str__(self) -> str:
        return f"{self.group.file}, row {self.group.first + self.row}, column {self.column!r}"

    @property
    def container(self) -> Path:
        """The file that the picture lies in."""
        return self.group.file

    @property
    def stem(self) -> str:
        """A name that no other row has."""
        return f"{self.group.file.stem}_{self.group.first + self.row:06d}"

    @property
    def name(self) -> str:
        """The stem: a cell has no ending."""
        return self.stem

    @property
    def suffix(self) -> str:
        """`.npy` for an array; else empty, since the bytes of a picture say what they are."""
        return ".npy" if self.is_array else ""

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.group.file.exists()

    def read_bytes(self) -> bytes:
        """Read the picture's bytes; none if the row holds only a path to another file.

        Raises:
            ValueError: the Parquet file is damaged or gone.
        """
        value = _read_row(self.group, self.row)[self.column]
        if self.is_array:
            return _save_array(value)
        if isinstance(value, Mapping):
            value = value.get("bytes")
        return value or b""

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open the picture's bytes for reading."""
        assert mode == "rb", "a cell is read only"
        return io.BytesIO(self.read_bytes())

    def stat(self) -> os.stat_result:
        """The picture's size."""
        return os.stat_result((0, 0, 0, 0, 0, 0, len(self.read_bytes()), 0, 0, 0))

    def absolute(self) -> Cell:
        """Return the same cell of the file at its absolute path."""
        return replace(self, group=replace(self.group, file=self.group.file.absolute()))


def _save_array(rows: list[list[int]] | None) -> bytes:
    """Write ids as the bytes of a `.npy` file.

    Raises:
        ValueError: the rows differ in length, or hold no whole numbers.
    """
    file = io.BytesIO()
    np.save(file, np.array(rows or [[]], np.int64), allow_pickle=False)
    return file.getvalue()


class _Stream:
    """Reads the rows of a group in their order."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.stamp = _get_stamp(group.file)
        self.row = -1
        self.values: Mapping[str, Any] = {}
        self._rows = _iterate(open_table(group.file), group)

    def read(self, row: int) -> Mapping[str, Any]:
        while self.row < row:
            self.values = next(self._rows)
            self.row += 1
        return self.values


def _iterate(table: ParquetFile, group: Group) -> Iterator[Mapping[str, Any]]:
    with table:
        columns = list(group.columns)
        for batch in table.iter_batches(1, row_groups=[group.number], columns=columns):
            yield from batch.to_pylist()


# Of each thread: pyarrow's readers are not shared.
_local = threading.local()


def _read_row(group: Group, row: int) -> Mapping[str, Any]:
    stream = _take_stream(group, row) or _Stream(group)
    from pyarrow import ArrowException

    try:
        values = stream.read(row)
    except (OSError, ArrowException, StopIteration) as error:
        raise ValueError(explain(error)) from None
    _local.stream = stream
    return values


def _take_stream(group: Group, row: int) -> _Stream | None:
    """Take the stream that was read last, if the row is its next or last; else let go of it."""
    stream: _Stream | None = getattr(_local, "stream", None)
    _local.stream = None
    if stream is None or stream.group != group or stream.row > row:
        return None
    return stream if stream.stamp == _get_stamp(group.file) else None


def _get_stamp(path: Path) -> tuple[int, int] | None:
    """Get the size and time of a local file, which change with it; None for a file at a URL."""
    if is_remote(path):
        return None
    try:
        status = path.stat()
    except OSError as error:
        raise ValueError(explain(error)) from None
    return status.st_size, status.st_mtime_ns
