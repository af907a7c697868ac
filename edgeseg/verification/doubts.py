"""Finds signs of a wrong ground truth: classes that never occur, accuracy at chance level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from edgeseg.accuracy.counts import Counts
from edgeseg.accuracy.metrics import AT_CHANCE, Confusion, above_chance, chance_miou, mean_iou
from edgeseg.text import list_some

__all__ = ["find_doubts"]

_MOST_NAMES: Final = 5
# Shares of the way from guessing to perfect. Another reading of the ids is far better if it reaches
# the first share and gains at least the second.
_FAR: Final = 0.25
_BETTER: Final = 0.2


def find_doubts(counts: Counts, *, absent: Sequence[str]) -> Iterator[str]:
    """Tell each doubt in a sentence; `absent` are classes that the data is known to lack."""
    if not counts.candidate.total.any():  # no labelled pixel is an error elsewhere
        return
    yield from _find_never_true(counts, absent)
    yield from _find_at_chance(counts)


def _find_never_true(counts: Counts, absent: Sequence[str]) -> Iterator[str]:
    occurs = (counts.candidate.total.sum(axis=1) > 0).tolist()
    known = {name.casefold() for name in absent}
    names = [
        name
        for name, there in zip(counts.labels.classes, occurs, strict=True)
        if not there and name.casefold() not in known
    ]
    if names:
        yield (
            f"classes of the model that occur in no mask and are not in the mIoU: {len(names)} of "
            f"{len(occurs)}: {list_some(names, _MOST_NAMES)}"
        )


def _find_at_chance(counts: Counts) -> Iterator[str]:
    sides = [side.total for side in (counts.reference, counts.candidate) if side.images]
    best = sides[0]
    remedy = _find_remedy(best, counts.labels.classes)
    if all(_measure_way(side) <= AT_CHANCE for side in sides):
        told = " and ".join(f"{mean_iou(side):.2f}" for side in sides)
        yield (
            f"the mIoU is at chance level ({told}; guessing would give {chance_miou(best):.2f}): "
            f"{remedy or 'are the masks those of these images, and their ids those of the model?'}"
        )
    elif remedy:
        yield f"the masks' ids look wrong: {remedy}"


def _measure_way(counts: Confusion) -> float:
    return above_chance(mean_iou(counts), chance_miou(counts))


def _find_remedy(counts: Confusion, names: Sequence[str]) -> str:
    """Name another reading of the ids under which the masks fit; empty where none does."""
    for step, how, remedy in (
        (-1, "lower", "--reduce-labels reads them so, with 0 as no class"),
        (1, "higher", "name the model's classes without the first in dataset.json"),
    ):
        moved = _find_shifts(counts, step)
        if _is_far_better(moved, counts):
            return (
                f"if every id in the masks were one {how}, it would be {mean_iou(moved):.2f}; "
                f"{remedy}"
            )
    order = _find_partners(counts)
    moved = np.zeros_like(counts)
    for own, other in order.items():
        moved[other] = counts[own]
    if not _is_far_better(moved, counts):
        return ""
    swapped = [f"{names[own]} for {names[new]}" for own, new in order.items() if own != new]
    return (
        f"if the masks' ids were in another order ({list_some(swapped, _MOST_NAMES)}), it "
        f"would be {mean_iou(moved):.2f}; name the classes in dataset.json in the masks' order"
    )


def _is_far_better(moved: Confusion, counts: Confusion) -> bool:
    return bool(moved.any()) and _measure_way(moved) >= max(_FAR, _measure_way(counts) + _BETTER)


def _find_shifts(counts: Confusion, step: int) -> Confusion:
    """Add `step` to every true id; ids that are then no class are ignored."""
    moved = np.zeros_like(counts)
    if step < 0:
        moved[:step] = counts[-step:]
    else:
        moved[step:] = counts[:-step]
    return moved


def _find_partners(counts: Confusion) -> dict[int, int]:
    """Map each true class to the class predicted there; empty where two share one."""
    hits = counts.astype(np.float64)
    union = hits.sum(axis=1)[:, None] + hits.sum(axis=0) - hits
    best = (hits / np.maximum(union, 1)).argmax(axis=1)
    found = {own: int(best[own]) for own in np.flatnonzero(counts.any(axis=1)).tolist()}
    return found if len(set(found.values())) == len(found) else {}
