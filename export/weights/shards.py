"""Reads weights that lie in several files, by the index beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from edgeseg.errors import CheckpointError
from edgeseg.export.json_files import read_json
from edgeseg.export.weights.extras import list_names

__all__ = ["INDEX", "find_index", "list_shards", "read_shards"]

INDEX: Final = ".index.json"

_SHARD: Final = re.compile(r"(.+)-\d{5}-of-\d{5}(\.safetensors|\.bin)")


def find_index(path: Path) -> Path | None:
    """Find the index that lists this file as one of several parts."""
    found = _SHARD.fullmatch(path.name)
    index = path.with_name(f"{found[1]}{found[2]}{INDEX}") if found else None
    return index if index is not None and index.is_file() else None


def list_shards(index: Path) -> dict[str, list[str]]:
    """List the names of the weights in each file of the index.

    Raises:
        CheckpointError: the index cannot be read, or names no files of its own folder.
    """
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, Mapping) or not listed:
        raise CheckpointError(f"{index} has no weight_map, which names a file for each weight")
    shards: dict[str, list[str]] = {}
    for weight, name in listed.items():
        if not isinstance(name, str) or not _SHARD.fullmatch(name) or Path(name).name != name:
            raise CheckpointError(
                f"{index} names {name!r}, which is no part of a model: those are called "
                f"model-00001-of-00002.safetensors"
            )
        shards.setdefault(name, []).append(str(weight))
    return shards


def read_shards(
    index: Path, read: Callable[[Path], object]
) -> tuple[dict[object, object], tuple[Path, ...]]:
    """Read all parts as one dictionary, each by `read`; return it and the files.

    Raises:
        CheckpointError: a part is missing or damaged, or lacks a weight that the index lists.
    """
    together: dict[object, object] = {}
    shards = list_shards(index)
    files = tuple(index.with_name(name) for name in shards)
    absent = [path.name for path in files if not path.is_file()]
    if absent:
        raise CheckpointError(f"{index} lists {list_names(absent)}, which is not beside it")
    for path, names in zip(files, shards.values(), strict=True):
        part = read(path)
        if not isinstance(part, Mapping):
            raise CheckpointError(
                f"{path} holds {type(part).__name__}, not a dictionary of weights"
            )
        lost = [name for name in names if name not in part]
        if lost:
            raise CheckpointError(f"{path} lacks {list_names(lost)}, which {index.name} lists")
        together.update(part)
    return together, (index, *files)
