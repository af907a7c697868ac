"""Chooses between the classes of a published data set and those that a dataset.json names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import DATASET_FILE, Classes, find_classes
from edgeseg.datasets.truth.color_table import ColorTable
from edgeseg.datasets.truth.id_map import IdMap
from edgeseg.labels import Labels

__all__ = ["Meaning", "find_meaning"]


class Meaning(NamedTuple):
    """The classes of a data set, and what the ids in its masks mean, if they are not theirs."""

    classes: Classes
    ids: IdMap | None


def find_meaning(
    root: Path, labels: Labels, ids: IdMap, *, rules: Rules, colors: ColorTable | None = None
) -> Meaning:
    """Find what the ids mean in a published data set, or in one of somebody's own in its form.

    Raises:
        SourceError: the folder's dataset.json cannot be read.
    """
    if not (root / DATASET_FILE).exists():
        return Meaning(Classes(labels=labels, colors=colors, rules=rules), ids)
    found = find_classes(root, given=rules)
    if found.labels is None:
        return Meaning(Classes(labels=labels, colors=colors, rules=found.rules), ids)
    return Meaning(found, None)
