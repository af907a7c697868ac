"""What the ids in a run's masks mean, where classes are chosen or unsure pixels are ignored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.accuracy.metrics import count_shares
from edgeseg.labels import Labels, Rgb, choose_ignore_index, normalize_name
from edgeseg.pixels import count_ids
from edgeseg.runtime.finish import Finish
from edgeseg.runtime.result import Segmentation

__all__ = ["BACKGROUND", "IGNORE", "Legend", "make_color_table", "plan_finish"]

BACKGROUND: Final = "background"
IGNORE: Final = "ignore"

_BLACK: Final = (0, 0, 0)
# PASCAL VOC's color of what is not counted.
_IGNORE_COLOR: Final = (224, 224, 192)


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """The meaning of a mask's ids.

    `labels` name all ids from 0 on; the last may be `background`. `ids` are those that a mask may
    hold, ascending; `background` is one of them. `ignore` is the id of the pixels that are not sure
    enough. Both are None where there is no such id.
    """

    labels: Labels
    ids: tuple[int, ...]
    background: int | None = None
    ignore: int | None = None

    @classmethod
    def of(cls, labels: Labels) -> Legend:
        """Make the legend of masks that hold class ids."""
        return cls(labels=labels, ids=tuple(range(len(labels.classes))))

    @property
    def clear(self) -> tuple[int, ...]:
        """The ids without a color in overlays: background and what is ignored."""
        return tuple(id_ for id_ in (self.background, self.ignore) if id_ is not None)

    @property
    def palette(self) -> tuple[Rgb, ...]:
        """The color of each id from 0 on, in masks; ids between that mean nothing are black."""
        colors = self.labels.palette
        if self.ignore is None:
            return colors
        return (*colors, *[_BLACK] * (self.ignore - len(colors)), _IGNORE_COLOR)

    @property
    def entries(self) -> tuple[tuple[int, str, Rgb], ...]:
        """The id, name and color of each class that masks may hold."""
        return tuple((id_, self.labels.classes[id_], self.labels.palette[id_]) for id_ in self.ids)

    def compute_shares(self, made: Segmentation) -> dict[str, float]:
        """Compute the share, 0..1, of a mask's pixels that each class has, and `ignore`, by name.

        Absent classes are left out.
        """
        counts = count_ids(made.mask) if made.counts is None else made.counts
        shares = count_shares(counts, self.labels.classes)
        if self.ignore is not None:
            ignored = shares.pop(f"id {self.ignore}", None)
            shares |= {} if ignored is None else {IGNORE: ignored}
        return shares


@lru_cache(maxsize=16)
def make_color_table(legend: Legend) -> npt.NDArray[np.uint8]:
    """Make the RGB color of every id that a mask can hold: (65536, 3), which nobody may change.

    Ids beyond the classes are black: a faulty engine's id must not end the run.
    """
    table = np.zeros((65536, 3), np.uint8)
    table[: len(legend.palette)] = legend.palette
    table.flags.writeable = False
    return table


def plan_finish(
    labels: Labels, *, tile: bool, scores: bool, least: Sequence[float], kept: Sequence[int]
) -> tuple[Finish, Legend]:
    """Plan what happens after the engine, and what the masks' ids mean then.

    `least` has a probability for each class, or nothing; `kept` has class ids, or nothing, which
    keeps all. What is not kept becomes the model's own class `background`, or the next free id.
    """
    shown, ids, background = labels, tuple(range(len(labels.classes))), None
    if kept:
        shown, background = _add_background(labels)
        ids = tuple(sorted({*kept, background}))
    # The id of a data set's pixels that do not count, and that no class has.
    ignore = choose_ignore_index(len(shown.classes))
    becomes = tuple(id_ if id_ in ids else background for id_ in range(len(labels.classes)))
    finish = Finish(
        tile=tile,
        scores=scores,
        least=tuple(least),
        becomes=tuple(id_ for id_ in becomes if id_ is not None) if kept else (),
        ignore=ignore,
    )
    legend = Legend(labels=shown, ids=ids, background=background, ignore=ignore if least else None)
    return finish, legend


def _add_background(labels: Labels) -> tuple[Labels, int]:
    """Find the model's class `background`, or add one after its classes."""
    names = [normalize_name(name) for name in labels.classes]
    if BACKGROUND in names:
        return labels, names.index(BACKGROUND)
    added = Labels(
        classes=(*labels.classes, BACKGROUND),
        palette=(*labels.palette, _BLACK),
        ignore_index=choose_ignore_index(len(names) + 1),
    )
    return added, len(names)
