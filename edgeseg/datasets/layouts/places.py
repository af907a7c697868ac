"""Finds the folders of images and of masks, of the whole data set or of each split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgeseg.datasets.layouts.layout import SPLIT_NAMES
from edgeseg.images import MASK_SUFFIXES, list_files
from edgeseg.images.bands import list_frames

__all__ = ["SPLIT_FOLDERS", "Place", "find_places", "list_folders"]

SPLIT_FOLDERS: Final = tuple(name for names in SPLIT_NAMES.values() for name in names)


class Place(NamedTuple):
    """A folder of images, and the folder of their masks."""

    images: Path
    masks: Path


def find_places(
    root: Path, names: Sequence[tuple[str, str]], *, any_split: bool = False
) -> dict[str | None, Place]:
    """Find where each split lies, by its folder's own name; all of an undivided set is None.

    `names` are pairs of names that the two folders may have, the likeliest first. Splits lie above
    them (ROOT/SPLIT/images) or below (ROOT/images/SPLIT). A split has one of the usual names, or
    below them any name if `any_split`.
    """
    found: dict[str | None, Place] = {}
    for split in list_folders(root, SPLIT_FOLDERS):
        place = _find_place(root / split, names)
        if place is not None:
            found[split] = place
    whole = _find_place(root, names)
    if whole is None:
        return found
    for split in list_folders(whole.images, None if any_split else SPLIT_FOLDERS):
        below = Place(whole.images / split, whole.masks / split)
        if below.masks.is_dir():
            found.setdefault(split, below)
    if not found or list_frames(whole.images):
        found[None] = whole
    return found


def list_folders(folder: Path, wanted: Sequence[str] | None = None) -> tuple[str, ...]:
    """List the names of a folder's folders, of those `wanted` in this order, else sorted."""
    there = sorted(
        path.name for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir()
    )
    return tuple(there if wanted is None else (name for name in wanted if name in there))


def _holds_masks(place: Place) -> bool:
    """Tell whether files that may be masks lie in the folder of masks, or below in both folders."""
    if list_files(place.masks, MASK_SUFFIXES):
        return True
    shared = list_folders(place.masks, list_folders(place.images))
    return any(_holds_masks(Place(place.images / one, place.masks / one)) for one in shared)


def _find_place(above: Path, names: Sequence[tuple[str, str]]) -> Place | None:
    """Find the first pair of names whose folders are there, in lower or upper case.

    Where the names are not the first ones, the folder of masks must hold some: labels/ may hold
    boxes, and annotations/ JSON.
    """
    spelled = {name.casefold(): name for name in list_folders(above)}
    for pair in names:
        place = Place(*(above / spelled.get(name, name) for name in pair))
        there = place.images.is_dir() and place.masks.is_dir()
        if there and (pair == names[0] or _holds_masks(place)):
            return place
    return None
