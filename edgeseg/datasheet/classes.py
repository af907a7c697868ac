"""Reads a data set's masks in its own classes: no model is there to match them with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np

from edgeseg.datasets import Dataset, Matched, Rules, Sample, match_classes
from edgeseg.datasets.id_tables import find_groups
from edgeseg.datasets.reading import Reading
from edgeseg.datasets.unshaped_pixels import explain_rest
from edgeseg.labels import DEFAULT_IGNORE_INDEX, Labels, parse_labels
from edgeseg.pixels import ClassMap, find_ids, rename_ids
from edgeseg.reports.data_facts import DataFacts
from edgeseg.text import join_words

__all__ = ["OwnClasses", "find_own_classes"]

_MOST_IDS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnClasses:
    """A data set's classes, and what its ids mean; `reading` is None if nothing names them.

    The ids in `ignored` are then not counted.
    """

    labels: Labels
    reading: Reading | None
    ignored: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def find_place(self, own: int) -> int | None:
        """Find the class of an id in masks; None if the id means nothing."""
        if self.reading is None:
            if own in self.ignored:
                return self.labels.ignore_index
            return own if own < len(self.labels.classes) else None
        return self.reading.table.get(own, self.reading.others)

    def apply(self, mask: ClassMap) -> ClassMap:
        """Turn a mask, (H, W), into class ids; ids that mean nothing become ignored."""
        ids = find_ids(mask)
        lookup: ClassMap = np.full(ids[-1] + 1, self.labels.ignore_index, np.uint16)
        for own in ids:
            place = self.find_place(own)
            if place is not None:
                lookup[own] = place
        return rename_ids(mask, lookup)

    def check_smoothing(self, sample: Sample) -> Sample:
        """Say in a sample whether its mask looks smoothed."""
        if self.reading is None:
            return sample
        return replace(sample, smoothed=self.reading.sees_smoothing(sample.mask))

    def drop_unseen(self, facts: DataFacts) -> DataFacts:
        """Leave out the ids that no mask holds, if ids stand for classes without names."""
        if self.reading is not None:
            return facts
        seen = tuple(one for one in facts.classes if one.images)
        return msgspec.structs.replace(facts, classes=seen)


def find_own_classes(dataset: Dataset) -> OwnClasses:
    """Find a data set's classes after its rules; without names, each id is one."""
    rules = dataset.rules
    if rules.foreground is not None and dataset.labels is None:
        labels = parse_labels({"classes": ["background", "foreground"]}, origin="foreground")
    elif dataset.labels is None:
        return _number_ids(rules)
    else:
        labels = _merge_labels(dataset.labels, rules)
    # Its own classes are no model's, which decides whether pixels of no shape are counted.
    matched, _ = match_classes(replace(dataset, rest=None), labels)
    first = matched.items[0]
    assert isinstance(first, Matched), "matching returns matched items"
    new = matched.notes[len(dataset.notes) :]
    return OwnClasses(labels=labels, reading=first.reading, notes=(*explain_rest(dataset), *new))


def _number_ids(rules: Rules) -> OwnClasses:
    """Take each id for a class, except those that the rules leave out; 255 if they say nothing."""
    ignored = (DEFAULT_IGNORE_INDEX,) if rules.ignore_index is None else rules.ignore_index
    names = [f"id {own}" for own in range(_MOST_IDS)]
    note = (
        f"nothing names the masks' ids, so they are shown as numbers, and no "
        f"pixel of {join_words([*map(str, ignored)])} is counted; name them in dataset.json"
    )
    unnamed = parse_labels({"classes": names}, origin="ids")
    return OwnClasses(labels=unnamed, reading=None, ignored=ignored, notes=(note,))


def _merge_labels(labels: Labels, rules: Rules) -> Labels:
    """Put the merged classes in the place of their members."""
    groups = find_groups(rules, labels)
    members = {own for group in groups.values() for own in group}
    kept = [own for own in range(len(labels.classes)) if own not in members]
    first = {name: labels.palette[group[0]] for name, group in groups.items()}
    known = {labels.classes[own] for own in kept}
    new = [name for name in groups if name not in known]
    return Labels(
        classes=(*(labels.classes[own] for own in kept), *new),
        palette=(*(labels.palette[own] for own in kept), *(first[name] for name in new)),
        ignore_index=labels.ignore_index,
    )
