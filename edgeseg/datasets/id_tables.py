"""Makes the table from the ids in a data set's masks to a model's class ids.

An id goes through the data set's rules in this order: `foreground` makes two classes of all ids,
`ignore_index` leaves some out, `reduce_labels` counts the others from 1, `merge` counts several as
one. What is left is a class of the data set, and is matched with the model's class of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.reading import Reading
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels, choose_ignore_index, normalize_name

__all__ = ["find_groups", "make_reading"]

_TWO: Final = 2


def make_reading(dataset: Dataset, theirs: Labels, ours: Labels) -> Reading:
    """Make the reading of a data set's masks; `theirs` are its classes, and `ours` the model's.

    Raises:
        DatasetError: a rule does not fit the classes.
    """
    rules = dataset.rules
    table = _match_names(dataset, theirs, ours)
    others = None
    if rules.foreground is not None:
        if len(theirs.classes) != _TWO:
            raise DatasetError(
                f"data set {dataset.origin}: `foreground` makes two classes of all ids, and there "
                f"are {len(theirs.classes)}; name two in dataset.json, or leave it out"
            )
        table, others = dict.fromkeys(rules.foreground, table[1]), table[0]
    if rules.reduce_labels:
        table = {0: ours.ignore_index} | {own + 1: new for own, new in table.items()}
    ignored = _list_ignored(rules, theirs)
    return Reading(
        origin=dataset.origin,
        classes=len(theirs.classes),
        ignored=tuple(sorted(set(ignored))),
        table=table | dict.fromkeys(ignored, ours.ignore_index),
        others=others,
    )


def _list_ignored(rules: Rules, theirs: Labels) -> tuple[int, ...]:
    """List the ids, as masks hold them, of pixels that are not counted."""
    if rules.foreground is not None:
        return rules.ignore_index or ()
    if rules.ignore_index is not None:
        return (*rules.ignore_index, theirs.ignore_index)
    usual = choose_ignore_index(len(theirs.classes))
    # `reduce_labels` as transformers' reduce_label does, whatever the model's own ignored id is.
    return (usual,) if rules.reduce_labels else (usual, theirs.ignore_index)


def find_groups(rules: Rules, theirs: Labels) -> Mapping[str, tuple[int, ...]]:
    """Find the ids of each merged class, by its name.

    Raises:
        DatasetError: a member is no class of the data set, or is in two groups.
    """
    places = {normalize_name(name): own for own, name in enumerate(theirs.classes)}
    groups: dict[str, tuple[int, ...]] = {}
    taken: dict[int, str] = {}
    for group, members in (rules.merge or {}).items():
        own_ids = []
        for member in members:
            own = places.get(normalize_name(member)) if isinstance(member, str) else member
            if own is None or own >= len(theirs.classes):
                raise DatasetError(
                    f"`merge` counts {member!r} as {group!r}, and the data set has no such class; "
                    f"it has: {', '.join(theirs.classes)}"
                )
            if taken.setdefault(own, group) != group:
                raise DatasetError(
                    f"`merge` counts {theirs.classes[own]!r} as {taken[own]!r} and as {group!r}; "
                    f"leave it in one of them"
                )
            own_ids.append(own)
        groups[group] = tuple(own_ids)
    return groups


def _match_names(dataset: Dataset, theirs: Labels, ours: Labels) -> dict[int, int]:
    """Map each of the data set's classes to the model's of that name, or to the ignored id."""
    places = {normalize_name(name): index for index, name in enumerate(ours.classes)}
    table = {
        own: places.get(normalize_name(name), ours.ignore_index)
        for own, name in enumerate(theirs.classes)
    }
    for group, own_ids in find_groups(dataset.rules, theirs).items():
        place = places.get(normalize_name(group))
        if place is None:
            raise DatasetError(
                f"`merge` makes a class {group!r}, which the model does not have; it has: "
                f"{', '.join(ours.classes)}"
            )
        table |= dict.fromkeys(own_ids, place)
    return table
