"""Reads data sets of Hugging Face's `datasets` in Parquet files, with pictures of masks.

ROOT/[data/]SPLIT-00000-of-00002.parquet      ROOT/SPLIT/*.parquet      ROOT/[data/]id2label.json
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import Classes, find_classes
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.items import FilePair
from edgeseg.datasets.layouts.layout import SPLIT_NAMES, Layout, choose_split
from edgeseg.datasets.layouts.parquet_columns import find_columns
from edgeseg.datasets.parquet_cells import Cell, Group, open_table
from edgeseg.datasets.truth.mask_file import MaskFile
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import list_files
from edgeseg.labels import Labels, order_names, parse_labels
from edgeseg.machine.extras import require
from edgeseg.text import explain

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

__all__ = ["PARQUET"]

_SUFFIX: Final = ".parquet"
_NAMES: Final = "id2label.json"
_SPLIT_FOLDERS: Final = tuple(name for names in SPLIT_NAMES.values() for name in names)
_PART: Final = re.compile(r"(?P<split>.+?)-\d+-of-(?P<parts>\d+)")
_NUMBERED: Final = re.compile(r"(?P<split>.+?)(?:[-_]\d+)?")
# What `save_to_disk` of a data set, or of several splits, leaves.
_SAVED: Final = ("state.json", "dataset_dict.json")


def _find_files(root: Path) -> dict[str, list[Path]]:
    """Find the files of each split; those of a data set without splits have the name ""."""
    found: dict[str, list[Path]] = {}
    for folder in (root, root / "data"):
        for path in list_files(folder, (_SUFFIX,)) if folder.is_dir() else ():
            found.setdefault(_name_split(path), []).append(path)
    for name in _SPLIT_FOLDERS:
        folder = root / name
        if folder.is_dir() and (files := list_files(folder, (_SUFFIX,))):
            found[name] = files
    return found


def _name_split(path: Path) -> str:
    """Find the split in the name of a file, as train in train-00000-of-00002 and in train_0."""
    part = _PART.fullmatch(path.stem)
    if part:
        return part["split"]
    numbered = _NUMBERED.fullmatch(path.stem)
    return numbered["split"] if numbered and numbered["split"] in _SPLIT_FOLDERS else ""


def _is_saved(root: Path) -> bool:
    return any((root / name).is_file() for name in _SAVED) and (
        any(root.glob("*.arrow")) or any(root.glob("*/*.arrow"))
    )


def _recognize(root: Path, _rules: Rules) -> bool:
    return bool(_find_files(root)) or _is_saved(root)


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    files = _find_files(root)
    if not files:
        raise DatasetError(_explain_no_files(root))
    require("reading Parquet files", ["parquet"])
    there = tuple(name for name in files if name)
    is_whole = split is None and "" in files
    name = "" if is_whole else choose_split(there, split, origin=str(root)) or ""
    classes = _name_classes(root, rules, files[name][0])
    items = tuple(pair for path in files[name] for pair in _list_rows(path, classes))
    return Dataset(
        origin=str(root),
        split=name or None,
        items=items,
        labels=classes.labels,
        splits=there,
        rules=classes.rules,
        said=classes.said,
        notes=(*classes.notes, *_find_missing(files[name])),
    )


def _list_rows(path: Path, classes: Classes) -> Iterator[FilePair]:
    """List the rows of a file. Nothing but its footer is read."""
    make_truth = partial(MaskFile, colors=classes.colors)
    with _open_table(path) as table:
        columns = find_columns(table.schema_arrow, classes.rules, origin=path)
        first = 0
        for number in range(table.metadata.num_row_groups):
            group = Group(path, number, first, columns[:2])
            for row in range(table.metadata.row_group(number).num_rows):
                image = Cell(group, row, columns.image)
                mask = Cell(group, row, columns.mask, is_array=columns.is_array)
                yield FilePair(cast("Path", image), make_truth(cast("Path", mask)))
            first += table.metadata.row_group(number).num_rows


def _open_table(path: Path) -> ParquetFile:
    try:
        return open_table(path)
    except ValueError as error:
        raise SourceError(f"{path} cannot be read: {error}") from None


def _name_classes(root: Path, rules: Rules, first: Path) -> Classes:
    """Find the classes: of dataset.json or a class file, of id2label.json, or of the first file."""
    found = find_classes(root, root / "data", given=rules)
    if found.labels is not None:
        return found
    paths = [path for path in (root / _NAMES, root / "data" / _NAMES) if path.is_file()]
    if paths:
        labels, source = _read_names(paths[0]), paths[0]
    else:
        with _open_table(first) as table:
            names = find_columns(table.schema_arrow, found.rules, origin=first).names
        if not names:
            return found
        labels, source = parse_labels({"classes": list(names)}, origin=str(first)), first
    return replace(found, labels=labels, notes=(*found.notes, f"names of the classes: {source}"))


def _read_names(path: Path) -> Labels:
    """Read names by their ids, as {"0": "road"}, also below `id2label`."""
    try:
        content = msgspec.json.decode(path.read_bytes())
        by_id = content.get("id2label", content)
        names = order_names(by_id, origin=str(path))
    except (msgspec.DecodeError, RecursionError, AttributeError, OSError) as error:
        raise SourceError(f"{path} has no names by their ids: {explain(error)}") from None
    return parse_labels({"classes": list(names)}, origin=str(path))


def _find_missing(files: Sequence[Path]) -> tuple[str, ...]:
    parts = [found for path in files if (found := _PART.fullmatch(path.stem))]
    named = int(parts[0]["parts"]) if parts else 0
    if named <= len(parts):
        return ()
    return (f"{files[0].parent} holds {len(parts)} of {named} files of {parts[0]['split']!r}",)


def _explain_no_files(root: Path) -> str:
    if not _is_saved(root):
        return f"data set {root} has no {_SUFFIX} files, as data/train-00000-of-00001{_SUFFIX}"
    several = (root / "dataset_dict.json").is_file()
    target = f"{root}-parquet"
    write = (
        f"[part.to_parquet(f'{target}/{{name}}.parquet') for name, part in found.items()]"
        if several
        else f"found.to_parquet('{target}/data.parquet')"
    )
    return (
        f"data set {root} holds Arrow files of datasets' save_to_disk; write Parquet files of "
        f"them: python -c \"from datasets import load_from_disk; found = load_from_disk('{root}'); "
        f'{write}"'
    )


PARQUET: Final = Layout(
    name="parquet",
    title="Parquet files of Hugging Face",
    looked_for="*.parquet, also in data/",
    recognize=_recognize,
    open=_open,
    takes_folders=True,  # its columns
)
