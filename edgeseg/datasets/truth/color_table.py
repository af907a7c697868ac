"""Turns the colors of a painted mask into class ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.datasets.edges import find_edge_ids
from edgeseg.errors import DatasetError
from edgeseg.labels import Labels, Rgb, to_hex
from edgeseg.pixels import ClassMap, split_rows

__all__ = ["ColorTable", "Colored", "make_color_table", "refuse_unknown_palette"]

# Share of a mask's pixels that may have colors of no class: more than a few strokes of a brush
# would hide, and far below what a forgotten class takes.
_TOLERATED: Final = 0.001
_MOST_NAMED: Final = 5
# A mask looks smoothed if so many colors are no class, and this share of them along edges only.
_MANY: Final = 8
_SMOOTHED: Final = 0.75
_UNSMOOTHED: Final = (
    "save the mask without antialiasing, and resize or turn it to the nearest pixel"
)

_Painted = npt.NDArray[np.uint8]


class Colored(NamedTuple):
    """Class ids, (H, W), and the number of pixels of each color that stands for no class."""

    ids: ClassMap
    unknown: Mapping[Rgb, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorTable:
    """What colors mean: `ids[color]` is the id of a pixel of exactly that color.

    `origin` says in messages where the colors come from. Pixels of unknown colors get the id
    `ignored`. `clash` says which color stands for two classes, if one does; masks of ids may still
    be read.
    """

    origin: str
    ids: Mapping[Rgb, int]
    ignored: int
    clash: str | None = None

    def apply(self, painted: _Painted, path: Path) -> Colored:
        """Turn colors, uint8 RGB (H, W, 3), into ids.

        Raises:
            DatasetError: more than a thousandth of the pixels have colors of no class, or a color
                stands for two classes.
        """
        if self.clash is not None:
            raise DatasetError(f"{path} is painted in colors, and {self.clash}")
        colors = sorted(self.ids, key=_pack_one)
        keys = np.array([_pack_one(color) for color in colors], np.int32)
        dtype = np.uint8 if max(*self.ids.values(), self.ignored) <= 255 else np.uint16
        values = np.array([self.ids[color] for color in colors], dtype)
        ids: ClassMap = np.empty(painted.shape[:2], dtype)
        strange: Counter[Rgb] = Counter()
        for rows in split_rows(*ids.shape):
            packed = _pack(painted[rows])
            places = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
            known = keys[places] == packed
            ids[rows] = np.where(known, values[places], dtype(self.ignored))
            if not known.all():
                strange.update(_count_colors(packed[~known]))
        unknown = dict(strange.most_common())
        if strange.total() > _TOLERATED * ids.size:
            raise DatasetError(
                f"{path} has colors of no class of {self.origin}"
                f"{_explain_unknown_colors(unknown, _pack(painted))}"
            )
        return Colored(ids, unknown)


def make_color_table(labels: Labels, *, origin: str, ignored: Iterable[Rgb] = ()) -> ColorTable:
    """Make the table of a palette; pixels of the colors in `ignored` are not counted."""
    ids: dict[Rgb, int] = dict.fromkeys(ignored, labels.ignore_index)
    clash = None
    for own, color in enumerate(labels.palette):
        other = ids.setdefault(color, own)
        if other != own and clash is None:
            name = "what is ignored" if other == labels.ignore_index else labels.classes[other]
            clash = (
                f"{origin} gives the color {to_hex(color)} to {labels.classes[own]} and to {name}; "
                f"give each its own"
            )
    return ColorTable(origin=origin, ids=ids, ignored=labels.ignore_index, clash=clash)


def refuse_unknown_palette(painted: _Painted, path: Path) -> DatasetError:
    """Explain that a mask is painted, and that nothing says what its colors mean."""
    packed = _pack(painted)
    counts = _count_colors(packed)
    smoothing = _describe_smoothing(counts, packed)
    listed = f"{_UNSMOOTHED}, and list its colors" if smoothing else "list them"
    return DatasetError(
        f"{path} is painted in colors, and nothing says what they mean{smoothing}: "
        f'{_name_colors(counts, packed.size)}; {listed} as "palette" beside the "classes" of '
        f"dataset.json, or in a classes.csv with the lines name,r,g,b"
    )


def _pack(painted: _Painted) -> npt.NDArray[np.int32]:
    packed = painted[:, :, 0].astype(np.int32)
    for channel in (1, 2):
        packed <<= 8
        packed |= painted[:, :, channel]
    return packed


def _pack_one(color: Rgb) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def _count_colors(packed: npt.NDArray[np.int32]) -> dict[Rgb, int]:
    """Count the pixels of each color, the most frequent first."""
    found, counts = np.unique(packed, return_counts=True)
    order = np.argsort(-counts, kind="stable").tolist()
    return {
        (int(found[i]) >> 16, int(found[i]) >> 8 & 255, int(found[i]) & 255): int(counts[i])
        for i in order
    }


def _explain_unknown_colors(unknown: Mapping[Rgb, int], packed: npt.NDArray[np.int32]) -> str:
    """Name the colors that are no class in a mask, and the remedy."""
    smoothing = _describe_smoothing(unknown, packed)
    listed = (
        "give each color a class, or list those that are not counted as "
        '"ignore_colors" in dataset.json'
    )
    remedy = _UNSMOOTHED if smoothing else listed
    return f"{smoothing}: {_name_colors(unknown, packed.size)}; {remedy}"


def _describe_smoothing(colors: Iterable[Rgb], packed: npt.NDArray[np.int32]) -> str:
    """Tell that most of many colors lie along edges only; empty where they do not."""
    wanted = set(map(_pack_one, colors))
    if len(wanted) < _MANY:
        return ""
    at_edges = len(find_edge_ids(packed) & wanted)
    if at_edges < _SMOOTHED * len(wanted):
        return ""
    return f", {at_edges} of {len(wanted)} along edges only, as in a photograph or a smoothed mask"


def _name_colors(counts: Mapping[Rgb, int], pixels: int) -> str:
    named = [
        f"{to_hex(color)} ({100 * count / pixels:.2f} % of its pixels)"
        for color, count in list(counts.items())[:_MOST_NAMED]
    ]
    more = f" and {len(counts) - _MOST_NAMED} more" if len(counts) > _MOST_NAMED else ""
    return ", ".join(named) + more
