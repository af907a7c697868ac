"""Pairs images with their masks, and names the files that are left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeseg.datasets.dataset import Unpaired
from edgeseg.datasets.items import FilePair
from edgeseg.datasets.truth.mask_file import Truth
from edgeseg.text import join_words

__all__ = ["Paired", "explain_twins", "pair_by_name", "pair_up", "split_by_suffix"]

# What the name of a mask has after its image's, as tools and data sets write it. Longer ones first:
# each is tried only if no image has a mask under the names before.
_SUFFIXES: Final = (
    "",
    *("_gtFine_labelTrainIds", "_gtFine_labelIds", "_gtFine_color", "_labelTrainIds", "_labelIds"),
    *("_train_id", "_train_color", "_segmentation", "_mask", "-mask", "_masks", "_label"),
    *("_labels", "_L", "_P", "_gt", "_GT", "_seg", "_manual1", "_color"),
)
# What the name of an image may have where its mask has another ending.
_IMAGE_SUFFIXES: Final = ("_leftImg8bit", "_image", "_img", "_rgb", "_sat", "_training", "_test")
_TWINS: Final = 2  # masks of one name, or more
_FREQUENT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Complete pairs, what is left over, and what masks have after their images' names.

    `others` counts the masks of the same images that have another suffix, by that suffix. `fits`
    says that some mask has the name of an image.
    """

    items: tuple[FilePair, ...]
    unpaired: tuple[Unpaired, ...]
    suffix: str
    others: Mapping[str, int]
    fits: bool


def pair_by_name(
    images: Sequence[Path],
    masks: Sequence[Path],
    *,
    folder: Path,
    make_truth: Callable[[Path], Truth],
    suffix: str | None = None,
) -> Paired:
    """Pair images with the masks in `folder` of the same names; also list what has no partner.

    Without `suffix`, that of the masks is found: the one under which most images have a mask. A
    mask may also have its suffix in place of one of its image's, as a_mask.png of a_sat.jpg, or
    after the whole of its image's name, as a.jpg.png.
    """
    by_name: dict[str, list[Path]] = {}
    for path in masks:
        by_name.setdefault(path.stem, []).append(path)
    suffix = _find_suffix(images, by_name) if suffix is None else suffix
    ending = masks[0].suffix if masks else ".png"
    found = {path: _find_masks(path, by_name, suffix) for path in images}
    pairs = [
        FilePair(path, make_truth(own[0] if own else folder / f"{path.stem}{suffix}{ending}"))
        for path, own in found.items()
        if len(own) < _TWINS
    ]
    items, unpaired = pair_up(pairs, masks=set(masks))
    twins = [explain_twins(path, own) for path, own in found.items() if len(own) >= _TWINS]
    taken = {path for own in found.values() for path in own}
    left = [path for path in masks if path not in taken]
    others = _find_other_suffixes(left, [path for path, own in found.items() if own])
    alone = (
        Unpaired(name=path.stem, reason=f"{path} has no image of its own in {images[0].parent}")
        for path in left
        if path not in others
    )
    return Paired(
        items=items,
        unpaired=(*unpaired, *twins, *alone),
        suffix=suffix,
        others=Counter(others.values()),
        fits=bool(taken),
    )


def split_by_suffix(
    images: Sequence[Path], masks: Sequence[Path], suffix: str
) -> tuple[list[Path], list[Path]]:
    """Divide the files of one folder into images and masks, of which some have another suffix.

    `images` are the files that may be images, and `masks` those that may be masks.
    """
    drawn = {path for path in masks if path.stem.endswith(suffix)}
    stems = {path.stem.removesuffix(suffix) for path in drawn}
    left = (path for path in masks if path not in drawn)
    others = {path for path in left if _find_rest(path.stem, stems) in _SUFFIXES[1:]}
    pictures = [path for path in images if path not in drawn | others]
    return pictures, sorted(drawn | others)


def explain_twins(image: Path, masks: Sequence[Path]) -> Unpaired:
    """Leave out an image of several masks, as a.png and a.tif: nobody knows which is meant."""
    names = join_words([str(path) for path in masks])
    return Unpaired(name=image.stem, reason=f"{image} has the masks {names}; keep one of them")


def pair_up(
    pairs: Iterable[FilePair], *, masks: Container[Path] | None = None
) -> tuple[tuple[FilePair, ...], tuple[Unpaired, ...]]:
    """Return the complete pairs, in their order, and the images without a mask of their own.

    `masks` are the mask files that exist; None asks for each, which takes long over a network.
    Images that share a mask, as a.jpg and a.png do, are not paired: nobody knows on which of them
    the mask was drawn.
    """
    claims: dict[str, list[FilePair]] = {}
    for pair in pairs:
        claims.setdefault(str(pair.mask_path), []).append(pair)
    complete, left = [], []
    for claimants in claims.values():
        mask = claimants[0].mask_path
        there = mask.exists() if masks is None else mask in masks
        reason = _find_fault(claimants, there=there)
        if reason is None:
            complete += claimants
        else:
            left.append(Unpaired(name=claimants[0].name, reason=reason))
    return tuple(complete), tuple(left)


def _find_suffix(images: Sequence[Path], masks: Container[str]) -> str:
    """Find the suffix under which most images have a mask, the first of several."""
    stems = [_list_stems(path) for path in images]
    most, best = 0, ""
    for suffix in _SUFFIXES:
        found = sum(any(stem + suffix in masks for stem in own) for own in stems)
        if found > most:
            most, best = found, suffix
        if most == len(images):  # a long set has its answer after one pass
            break
    return best


def _find_masks(image: Path, masks: Mapping[str, list[Path]], suffix: str) -> list[Path]:
    """Find the masks of an image under the likeliest name that there is."""
    names = (stem + suffix for stem in _list_stems(image))
    return next((masks[name] for name in names if name in masks), [])


def _find_other_suffixes(left: Sequence[Path], images: Sequence[Path]) -> dict[Path, str]:
    """Find the masks that are left over of images which have a mask, and their suffixes.

    A suffix is a usual one, or that of a mask of every second image.
    """
    stems = {stem for path in images for stem in _list_stems(path)}
    found = {path: rest for path in left if (rest := _find_rest(path.stem, stems)) is not None}
    counts = Counter(found.values())
    known = {one for one in counts if one in _SUFFIXES or _FREQUENT * counts[one] >= len(images)}
    return {path: rest for path, rest in found.items() if rest in known}


def _find_rest(name: str, stems: Container[str]) -> str | None:
    """Find what a name has after the longest stem, where a word ends; None if it has no stem."""
    places = (place for place in range(len(name), 0, -1) if not name[place : place + 1].isalnum())
    return next((name[place:] for place in places if name[:place] in stems), None)


def _list_stems(image: Path) -> tuple[str, ...]:
    """List what an image's name and its mask's may have in common, the likeliest first."""
    stem = image.stem
    shorter = (stem.removesuffix(own) for own in _IMAGE_SUFFIXES if stem.endswith(own))
    return stem, *shorter, image.name


def _find_fault(claimants: list[FilePair], *, there: bool) -> str | None:
    first, *others = claimants
    if others:
        names = ", ".join(pair.image_path.name for pair in others)
        return f"{first.image_path} has the same name as {names}; keep the one that the mask is of"
    if not there:
        return f"{first.image_path} has no mask; there is no {first.mask_path}"
    return None
