"""Matches the classes of a data set with those of a model, by name and in any order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.id_tables import find_groups, make_reading
from edgeseg.datasets.known_groups import find_known_groups
from edgeseg.datasets.painted import BLACK, WHITE, are_painted
from edgeseg.datasets.reading import Matched, Reading
from edgeseg.datasets.unshaped_pixels import list_ordered, settle_rest
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels, normalize_name
from edgeseg.text import list_some

__all__ = ["Differences", "match_classes"]

_PAINTED_CLASSES: Final = 2
_MOST_NAMED: Final = 5
_REDUCED: Final = "the checkpoint was trained on reduced labels (do_reduce_labels)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Classes that only the data set or only the model has, by name.

    Pixels of the classes that only the data set has are not counted.
    """

    data_only: tuple[str, ...] = ()
    model_only: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.data_only or self.model_only)

    @property
    def lines(self) -> Iterator[str]:
        """Name some of the classes that do not match, a line for each side."""
        if self.data_only:
            yield (
                f"classes of the data set that the model does not have, not counted: "
                f"{list_some(self.data_only, _MOST_NAMED)}"
            )
        if self.model_only:
            yield (
                f"classes of the model that the data set does not have: "
                f"{list_some(self.model_only, _MOST_NAMED)}"
            )


def match_classes(
    dataset: Dataset, labels: Labels, *, reduce_labels: bool = False
) -> tuple[Dataset, Differences]:
    """Return the data set with the model's class ids, and the classes that do not match.

    Names are compared without case and surrounding blanks. If the data set or the model has no
    names, classes are matched by position. Classes of a published data set are grouped as those of
    models that are trained on it with fewer. `reduce_labels` says that training took 0 for no class
    and 1 for the first class; masks of a data set without names are then read in the same way,
    unless the data set's rules say otherwise. If there are two classes and the masks hold only 0
    and 255, 255 is read as the second class, unless the rules settle what 255 is. The result's
    `notes` say what was guessed.

    Raises:
        DatasetError: data set and model have no class in common, or different numbers of classes
            without names; or a rule does not fit them.
    """
    dataset = _settle_reduction(dataset, labels, asked=reduce_labels)
    theirs = dataset.labels
    if theirs is None:
        return _apply_rules(dataset, labels, labels), Differences()
    if labels.classes == tuple(f"class {index}" for index in range(len(labels.classes))):
        return _match_by_position(dataset, theirs, labels), Differences()
    dataset = _group_known_classes(dataset, theirs, labels)
    dataset, theirs = settle_rest(dataset, theirs, labels)
    left_out = _list_merged(dataset.rules, theirs)
    ours = {normalize_name(name) for name in labels.classes}
    rest = dataset.rest
    if rest is not None and rest.is_added and normalize_name(theirs.classes[rest.own]) not in ours:
        left_out.add(rest.own)
    given = [name for own, name in enumerate(theirs.classes) if own not in left_out]
    found = Differences(
        data_only=tuple(name for name in given if normalize_name(name) not in ours),
        model_only=_select_missing(labels, (*given, *(dataset.rules.merge or ()))),
    )
    if len(found.data_only) == len(given) and not dataset.rules.merge:
        raise DatasetError(
            f"data set {dataset.origin} and the model have no class in common: "
            f"{', '.join(theirs.classes[:3])} ... and {', '.join(labels.classes[:3])} ...; "
            f"is it another data set's model?"
        )
    return _apply_rules(dataset, theirs, labels), found


def _group_known_classes(dataset: Dataset, theirs: Labels, ours: Labels) -> Dataset:
    """Group the classes of a published data set as the model's, unless the user groups them."""
    groups = find_known_groups(theirs, ours)
    if groups is None or dataset.rules.merge is not None:
        return dataset
    note = (
        f"CamVid's {len(theirs.classes)} classes are grouped as the {len(ours.classes)} of SegNet, "
        f"which the model has; --merge groups them otherwise"
    )
    return replace(dataset, rules=replace(dataset.rules, merge=groups)).add_notes(note)


def _settle_reduction(dataset: Dataset, labels: Labels, *, asked: bool) -> Dataset:
    """Decide whether the masks' labels are reduced: by the rules, else as the model was trained."""
    if dataset.rules.reduce_labels is not None or not asked:
        return dataset
    if "classes" in dataset.said:
        note = f"{_REDUCED}; the masks' ids are read as dataset.json names them, and not reduced"
        return dataset.add_notes(note)
    if dataset.labels is not None:
        return dataset
    note = (
        f"{_REDUCED}: of the masks' ids 0 is ignored and 1 is {labels.classes[0]!r}; a "
        f"dataset.json with the names of the ids 0, 1, ... says otherwise"
    )
    rules = replace(dataset.rules, reduce_labels=True)
    return replace(dataset, rules=rules).add_notes(note)


def _match_by_position(dataset: Dataset, theirs: Labels, ours: Labels) -> Dataset:
    names = list_ordered(dataset, theirs)
    if len(names) != len(ours.classes):
        raise DatasetError(
            f"data set {dataset.origin} has {len(names)} classes and the model, which "
            f"has no names, has {len(ours.classes)}; was it trained on this data set?"
        )
    return _apply_rules(dataset, theirs, replace(ours, classes=names))


def _select_missing(labels: Labels, others: Iterable[str]) -> tuple[str, ...]:
    known = {normalize_name(name) for name in others}
    return tuple(name for name in labels.classes if normalize_name(name) not in known)


def _list_merged(rules: Rules, theirs: Labels) -> set[int]:
    return {own for group in find_groups(rules, theirs).values() for own in group}


def _apply_rules(dataset: Dataset, theirs: Labels, ours: Labels) -> Dataset:
    """Read the masks' ids by the data set's rules, as the model's class ids."""
    reading = make_reading(dataset, theirs, ours)
    dataset, reading = _settle_white(dataset, theirs, reading, ours)
    items = tuple(Matched(item, reading) for item in dataset.items)
    return replace(dataset, items=items, labels=ours)


def _settle_white(
    dataset: Dataset, theirs: Labels, reading: Reading, ours: Labels
) -> tuple[Dataset, Reading]:
    """Find out whether 255 is the second of two classes, where nothing says what it is."""
    rules = dataset.rules
    settled = WHITE in (rules.ignore_index or ()) or rules.foreground or rules.reduce_labels
    if len(theirs.classes) != _PAINTED_CLASSES or settled:
        return dataset, reading
    white = theirs.classes[1]
    if not are_painted(dataset.items):
        may_be = white if WHITE in reading.ignored else None
        return dataset, replace(reading, white_may_be=may_be)
    table = {BLACK: reading.table[0], WHITE: reading.table[1]}
    ignored = {theirs.ignore_index: ours.ignore_index}
    note = (
        f"the masks hold only the ids {BLACK} and {WHITE}, and there are two classes: {WHITE} "
        f'is read as {white!r}, not as ignored; "ignore_index": {WHITE} in dataset.json '
        f"says otherwise"
    )
    return dataset.add_notes(note), replace(reading, table=ignored | table, painted=True)
