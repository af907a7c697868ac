"""What a layout is: a form in which people keep the files of a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.errors import DatasetError, SplitNeededError

__all__ = ["SPLITS", "SPLIT_NAMES", "Layout", "choose_split", "find_split"]

# The names of the splits, with the other names that data sets and tools have for them.
SPLIT_NAMES: Final = {
    "train": ("train", "training", "Train", "Training", "train2017"),
    "val": ("val", "valid", "validation", "Val", "Validation", "val2017", "dev"),
    "test": ("test", "testing", "Test", "Testing"),
}
SPLITS: Final = tuple(SPLIT_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A form of a data set's files.

    `name` is what a user may write before a path, as `voc:PATH`, and `title` is for people.
    `looked_for` says in words by what it is recognized. `recognize` tells whether a folder has this
    form; it reads no image. `open` lists a split of it, or all of it. `takes_folders` says that the
    user may name its folders. `general_forms` names the layouts of which it is a special case.
    """

    name: str
    title: str
    looked_for: str
    recognize: Callable[[Path, Rules], bool]
    open: Callable[[Path, str | None, Rules], Dataset]
    takes_folders: bool = False
    general_forms: tuple[str, ...] = ()


def find_split(there: Sequence[str], wanted: str) -> str | None:
    """Find a split by its name, or by another name that data sets have for it."""
    others = next((names for names in SPLIT_NAMES.values() if wanted in names), ())
    return next((name for name in (wanted, *others) if name in there), None)


def choose_split(
    there: Sequence[str], split: str | None, *, origin: str, default: str | None = None
) -> str | None:
    """Choose the split that is asked for, under the data set's own name of it.

    Without `split`, it is `default`, or the only one. A data set without splits has one, None.

    Raises:
        DatasetError: there is no such split.
        SplitNeededError: one has to be chosen.
    """
    wanted = split or default
    if wanted is not None:
        found = find_split(there, wanted)
        if found is not None:
            return found
        hint = f"it has: {', '.join(there)}" if there else "it has no splits; leave --split out"
        raise DatasetError(f"data set {origin} has no split {wanted!r}; {hint}")
    if len(there) > 1:
        raise SplitNeededError(origin, there)
    return there[0] if there else None
