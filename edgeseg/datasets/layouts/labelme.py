"""Reads labelme's files: a JSON of shapes beside each image.

ROOT/[SPLIT/]NAME.jpg      ROOT/[SPLIT/]NAME.json      ROOT/labels.txt
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import DATASET_FILE, find_classes
from edgeseg.datasets.dataset import Dataset, Unpaired
from edgeseg.datasets.items import FilePair
from edgeseg.datasets.layouts.layout import SPLIT_NAMES, Layout, choose_split
from edgeseg.datasets.layouts.named_images import find_named_image
from edgeseg.datasets.layouts.shape_classes import ShapeClasses, number_classes
from edgeseg.datasets.pairing import pair_by_name
from edgeseg.datasets.truth.labelme_file import LabelmeFile, LabelmeShape, read_labelme
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images import list_files
from edgeseg.images.bands import list_frames
from edgeseg.text import pluralize

__all__ = ["LABELME"]

_LABELS: Final = "labels.txt"
# Pixels of this label are not counted.
_IGNORED: Final = "__ignore__"
# Other JSON may lie beside labelme's.
_TRIED: Final = 3


def _list_json(folder: Path) -> list[Path]:
    return [path for path in list_files(folder, (".json",)) if path.name != DATASET_FILE]


def _find_folders(root: Path) -> dict[str, Path]:
    """Find the folders that hold labelme's files, by the name of the split; "" is the root."""
    names = ("", *(one for names in SPLIT_NAMES.values() for one in names))
    folders = {name: root / name for name in names}
    return {name: one for name, one in folders.items() if one.is_dir() and _holds_files(one)}


def _holds_files(folder: Path) -> bool:
    stems = {path.stem for path in list_frames(folder)}
    listed = sorted(_list_json(folder), key=lambda path: path.stem not in stems)
    for path in listed[:_TRIED]:
        try:
            read_labelme(path)
        except SourceError:
            continue
        return True
    return False


def _recognize(root: Path, _rules: Rules) -> bool:
    return bool(_find_folders(root))


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    folders = _find_folders(root)
    if not folders:
        raise DatasetError(f"data set {root} holds no JSON of labelme beside its images")
    there = tuple(name for name in folders if name)
    is_whole = split is None and "" in folders
    name = "" if is_whole else choose_split(there, split, origin=str(root)) or ""
    folder = folders[name]
    listed = _list_json(folder)
    classes, origin, notes = _name_classes(folder, root, rules, listed)
    ids = {**classes.ids, _IGNORED: classes.labels.ignore_index}
    make_truth = partial(LabelmeFile, ids=ids, rest=classes.rest.own, origin=origin)
    paired = _pair(folder, root, listed, make_truth)
    return classes.make_dataset(root, name, paired, splits=there, notes=notes)


def _name_classes(
    folder: Path, root: Path, rules: Rules, listed: Sequence[Path]
) -> tuple[ShapeClasses, str, tuple[str, ...]]:
    """Find the classes, what to call their list in messages, and a line for the user.

    labels.txt is in the order of the ids that labelme's own export gives.
    """
    above = (folder, root) if folder != root else (root,)
    lists = [one / _LABELS for one in above if (one / _LABELS).is_file()]
    if lists:
        names = [line.strip() for line in lists[0].read_text("utf-8-sig").splitlines()]
        given = [name for name in names if name and name != _IGNORED]
        classes = number_classes(given, *above, rules=rules, is_ordered=True)
        return classes, str(lists[0]), (f"names of the classes: {lists[0]}",)
    if find_classes(*above, given=rules).labels is not None:
        return number_classes((), *above, rules=rules), str(above[-1]), ()
    labels = {shape.label.strip() for path in listed for shape in _list_shapes(path)}
    told = (
        f"names of the classes: those of the shapes in {pluralize(len(listed), 'file')} of "
        f"{folder}; a {_LABELS} saves reading them all"
    )
    return number_classes(sorted(labels - {_IGNORED}), *above, rules=rules), str(folder), (told,)


def _list_shapes(path: Path) -> Sequence[LabelmeShape]:
    """List the shapes of a file; none of one that cannot be read, which is told when it is used."""
    try:
        return read_labelme(path).shapes
    except SourceError:
        return ()


def _pair(
    folder: Path, root: Path, listed: Sequence[Path], make_truth: Callable[[Path], LabelmeFile]
) -> tuple[tuple[FilePair, ...], tuple[Unpaired, ...]]:
    """Pair images with the JSON of their name, and other JSON with the image that it names."""
    images = list_frames(folder)
    stems = {path.stem for path in images}
    beside = [path for path in listed if path.stem in stems]
    named, left = _find_named([path for path in listed if path.stem not in stems], folder, root)
    alone = [path for path in images if path not in named]
    paired = pair_by_name(alone, beside, folder=folder, make_truth=make_truth, suffix="")
    found = (FilePair(image, make_truth(path)) for image, path in named.items())
    return (*paired.items, *found), (*paired.unpaired, *left)


def _find_named(
    listed: Sequence[Path], folder: Path, root: Path
) -> tuple[dict[Path, Path], list[Unpaired]]:
    """Find the image that each JSON names; other JSON than labelme's is passed over."""
    found: dict[Path, Path] = {}
    left = []
    for path in listed:
        try:
            name = read_labelme(path).image_path
        except SourceError:
            continue
        # Its folders are those of the machine on which it was drawn.
        image = find_named_image(PureWindowsPath(name).name, (folder, root), origin=path)
        if image.exists():
            found[image] = path
        else:
            reason = f"{path} names {name}, and there is no {image}"
            left.append(Unpaired(name=path.stem, reason=reason))
    return found, left


LABELME: Final = Layout(
    name="labelme",
    title="labelme's files",
    looked_for="NAME.json of labelme beside NAME.jpg",
    recognize=_recognize,
    open=_open,
)
