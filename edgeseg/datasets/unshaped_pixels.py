"""Finds the model's class for pixels of no shape, where the truth of a data set is shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from edgeseg.datasets.dataset import Dataset, Rest
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels, normalize_name
from edgeseg.text import join_words

__all__ = ["REST_NAME", "explain_rest", "find_rest", "list_ordered", "settle_rest"]

REST_NAME: Final = "background"
# How data sets and models call the class of what is none of their things.
_NAMES: Final = (REST_NAME, "_background_", "other")


def find_rest(names: Sequence[str]) -> int | None:
    """Find the class of pixels of no shape among names; None if there is none."""
    places = {normalize_name(name): own for own, name in enumerate(names)}
    return next((places[name] for name in _NAMES if name in places), None)


def explain_rest(dataset: Dataset) -> tuple[str, ...]:
    """Say what becomes of pixels of no shape, as long as no model is given."""
    rest, labels = dataset.rest, dataset.labels
    if rest is None or labels is None or _is_merged(dataset, rest, labels):
        return ()
    own = labels.classes[rest.own]
    names = tuple(dict.fromkeys((own, *_NAMES)))
    told = (
        f"pixels of no shape are shown as the class {own!r}; they are counted if the model has a "
        f"class {join_words(names, 'or')}"
    )
    return (told,)


def settle_rest(dataset: Dataset, theirs: Labels, ours: Labels) -> tuple[Dataset, Labels]:
    """Give the class of pixels of no shape the model's name for it, and say what it is.

    Returns the data set, and its classes with that name.
    """
    rest = dataset.rest
    if rest is None or _is_merged(dataset, rest, theirs):
        return dataset, theirs
    own = theirs.classes[rest.own]
    known = {normalize_name(name): name for name in ours.classes}
    wanted = [name for name in (normalize_name(own), *_NAMES) if name in known]
    if not wanted:
        note = (
            f"pixels of no shape are not counted: the model has no class "
            f"{join_words(_NAMES, 'or')}; --merge CLASS={own} counts them as one"
        )
        return dataset.add_notes(note), theirs
    name = known[wanted[0]]
    names = [name if place == rest.own else one for place, one in enumerate(theirs.classes)]
    if names.count(name) > 1:  # another class of the data set has that name
        return dataset, theirs
    note = f"pixels of no shape are counted as the class {name!r}"
    return dataset.add_notes(note), replace(theirs, classes=tuple(names))


def list_ordered(dataset: Dataset, theirs: Labels) -> tuple[str, ...]:
    """List the classes in the order of the ids of a model without names.

    Raises:
        DatasetError: nothing gives an order.
    """
    rest = dataset.rest
    if rest is None or not rest.is_added:
        return theirs.classes
    if not rest.is_ordered:
        raise DatasetError(
            f"data set {dataset.origin} names its classes, and the model has no names; list the "
            f'model\'s classes in its order as "classes" in a dataset.json'
        )
    return theirs.classes[:-1]


def _is_merged(dataset: Dataset, rest: Rest, theirs: Labels) -> bool:
    """Whether `merge` says what the class is counted as."""
    members = [one for group in (dataset.rules.merge or {}).values() for one in group]
    names = {normalize_name(one) for one in members if isinstance(one, str)}
    return rest.own in members or normalize_name(theirs.classes[rest.own]) in names
