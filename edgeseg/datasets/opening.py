"""Opens a data set by what the user names: `demo`, a folder, or a layout's name and a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from edgeseg.data_rules import NO_RULES, Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.items import DrawnScene, FilePair
from edgeseg.datasets.layouts import BY_NAME, LAYOUT_NAMES, Layout, recognize, recognize_others
from edgeseg.datasets.location import open_location
from edgeseg.datasets.unknown_layout import explain_unknown_layout
from edgeseg.demo import DEMO
from edgeseg.demo.splits import DEMO_SPLITS
from edgeseg.errors import DatasetError
from edgeseg.labels import get_known_labels
from edgeseg.redact import hide_secrets

__all__ = ["open_dataset"]

_FOLDERS: Final = frozenset({"images_dir", "masks_dir"})


def open_dataset(
    source: str | Path, *, split: str | None = None, rules: Rules = NO_RULES
) -> Dataset:
    """Open a data set: list its images and masks, and read its class names. No image is read.

    `source` is `demo`, a folder in one of the layouts of `edgeseg.datasets.layouts`, or
    `NAME:PATH` with the name of a layout. A folder may be a URL that fsspec knows, such as
    `s3://bucket/street`.
    Without `split`, `demo` opens its split `test`, a published data set its split `val`, and any
    other must have no splits, or one. `rules` go before those of the folder's dataset.json. Images
    without a mask are listed in the result's `unpaired`; `require_complete()` refuses them.

    Raises:
        DatasetError: there is no such folder or split, its form is not known, there are no images,
            or none has a mask.
        SourceError: the folder's dataset.json cannot be read.
        MissingPackageError: a URL or a form needs a package that is not installed.
    """
    if str(source) == DEMO:
        return _scale_images(_open_demo(split or "test", rules))
    name, colon, path = str(source).partition(":")
    named = BY_NAME.get(name) if colon else None
    with hide_secrets(str(source)):
        root = open_location(str(source) if named is None else path)
        try:
            found = _open_folder(root, split, rules, named)
        except OSError as error:  # a name that is too long, or a folder that is closed
            raise DatasetError(f"data set {source} cannot be read: {error.strerror}") from None
        found = _scale_images(replace(found, origin=str(source)))
        return found if found.items else found.require_complete()


def _open_folder(root: Path, split: str | None, rules: Rules, named: Layout | None) -> Dataset:
    if not root.is_dir():
        raise DatasetError(_explain_no_folder(root))
    if named is not None and not named.takes_folders and rules.given & _FOLDERS:
        raise DatasetError(
            f"{named.title} has folders of its own; leave {named.name}: out to name yours with "
            f"--images-dir and --masks-dir, or these options"
        )
    layout = named or recognize(root, rules)
    if layout is None:
        raise DatasetError(explain_unknown_layout(root))
    found = replace(layout.open(root, split, rules), layout=layout.name)
    if named is not None:
        return found
    told = f"{root} is read as {layout.title}, recognized by {layout.looked_for}"
    others = (
        f"{root} also has the layout of {other.title}, which is not read; "
        f"--data {other.name}:{root} reads that"
        for other in recognize_others(root, rules, layout)
    )
    usual = layout.name == "folder"
    return replace(found, notes=(*(() if usual else (told,)), *others, *found.notes))


def _explain_no_folder(root: Path) -> str:
    name, colon, path = str(root).partition(":")
    if colon and "/" not in name and Path(path).is_dir():
        return f"data set {root}: {name!r} is no layout; the layouts are {', '.join(LAYOUT_NAMES)}"
    return f"data set {root} is no folder; give a folder, or `demo`"


def _scale_images(dataset: Dataset) -> Dataset:
    """Have the images read by the range of values that the rules state."""
    value_range = dataset.rules.range
    if value_range is None:
        return dataset
    pairs = [item for item in dataset.items if isinstance(item, FilePair)]
    if len(pairs) < len(dataset.items):
        raise DatasetError(
            f"data set {dataset.origin} has no image files, and a range of values is for files of "
            f"more than 8 bits; leave --range out"
        )
    return replace(dataset, items=tuple(replace(one, value_range=value_range) for one in pairs))


def _open_demo(split: str, rules: Rules) -> Dataset:
    if split not in DEMO_SPLITS:
        raise DatasetError(
            f"data set demo has no split {split!r}; take one of {', '.join(DEMO_SPLITS)}"
        )
    items = tuple(DrawnScene(seed, frame) for seed, frame in DEMO_SPLITS[split].frames())
    return Dataset(
        origin=DEMO,
        split=split,
        items=items,
        labels=get_known_labels("camvid"),
        layout=DEMO,
        splits=tuple(DEMO_SPLITS),
        rules=rules,
    )
