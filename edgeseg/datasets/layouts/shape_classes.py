"""Gives ids to the classes of a data set of shapes, which names them and has no ids of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import Classes, find_classes
from edgeseg.datasets.dataset import Dataset, Rest, Unpaired
from edgeseg.datasets.items import Item
from edgeseg.datasets.unshaped_pixels import REST_NAME, find_rest
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels, normalize_name, parse_labels

__all__ = ["ShapeClasses", "number_classes"]

_OF_MASKS: Final = ("reduce_labels", "masks_dir", "mask_suffix")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeClasses:
    """Classes with ids: `ids[name]` is that of a normalized name, `rest` that of no shape."""

    labels: Labels
    ids: Mapping[str, int]
    rest: Rest
    found: Classes

    def make_dataset(
        self,
        root: Path,
        split: str | None,
        paired: tuple[tuple[Item, ...], tuple[Unpaired, ...]],
        *,
        splits: tuple[str, ...],
        notes: Iterable[str],
    ) -> Dataset:
        """Make the data set of these classes, of items and of what has no partner.

        One without splits has the split "" or None.
        """
        items, unpaired = paired
        return Dataset(
            origin=str(root),
            split=split or None,
            items=items,
            labels=self.labels,
            unpaired=unpaired,
            splits=splits,
            rules=self.found.rules,
            said=self.found.said,
            rest=self.rest,
            notes=(*self.found.notes, *notes),
        )


def number_classes(
    names: Sequence[str], *folders: Path, rules: Rules, is_ordered: bool = False
) -> ShapeClasses:
    """Give ids to the names of shapes, in the order of a file in one of the folders, or their own.

    Pixels of no shape are of the class background or other; one is added if there is none.
    `is_ordered` says that the names come in the order of a model's ids.

    Raises:
        SourceError: the file cannot be read.
        DatasetError: a rule is for masks.
    """
    found = find_classes(*folders, given=rules)
    wrong = [name for name in _OF_MASKS if getattr(found.rules, name)]
    if wrong:
        raise DatasetError(
            f"{folders[-1]} holds shapes with names, and {wrong[0]} is for masks; leave it out"
        )
    ordered = found.labels.classes if found.labels is not None else ()
    known = {normalize_name(name): name for name in (*ordered, *names)}
    own = find_rest(tuple(known))
    if own is None:
        known[REST_NAME] = REST_NAME
    classes = tuple(name.strip() for name in known.values())
    rest = Rest(
        own=len(classes) - 1 if own is None else own,
        is_added=own is None,
        is_ordered=is_ordered or found.labels is not None,
    )
    labels = found.labels
    if labels is None or labels.classes != classes:
        labels = parse_labels({"classes": list(classes)}, origin=str(folders[-1]))
    ids = {name: place for place, name in enumerate(known)}
    return ShapeClasses(labels=labels, ids=ids, rest=rest, found=found)
