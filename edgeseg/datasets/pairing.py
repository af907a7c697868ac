"""Pairs images with their masks, and names the files that are left over."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeseg.datasets.dataset import Unpaired
from edgeseg.datasets.items import FilePair
from edgeseg.datasets.truth.mask_file import Truth

__all__ = ["Paired", "pair_by_name", "pair_up"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Complete pairs, what is left over, and what masks have after their images' names."""

    items: tuple[FilePair, ...]
    unpaired: tuple[Unpaired, ...]
    suffix: str


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
    mask may also have its suffix in place of one of its image's, as a_mask.png of a_sat.jpg.
    """
    by_name = {path.stem: path for path in masks}
    suffix = _find_suffix(images, by_name) if suffix is None else suffix
    ending = masks[0].suffix if masks else ".png"
    pairs = [
        FilePair(path, make_truth(_find_mask(path, by_name, suffix, folder, ending)))
        for path in images
    ]
    items, unpaired = pair_up(pairs, masks=set(masks))
    taken = {pair.mask_path for pair in pairs}
    alone = (
        Unpaired(name=path.stem, reason=f"{path} has no image of its own in {images[0].parent}")
        for path in masks
        if path not in taken
    )
    return Paired(items=items, unpaired=(*unpaired, *alone), suffix=suffix)


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


def _find_mask(image: Path, masks: dict[str, Path], suffix: str, folder: Path, ending: str) -> Path:
    """Find an image's mask, or the path that it would have."""
    names = _name_masks(image, suffix)
    found = next((masks[name] for name in names if name in masks), None)
    return folder / f"{names[0]}{ending}" if found is None else found


def _name_masks(image: Path, suffix: str) -> tuple[str, ...]:
    """List the names that an image's mask may have, the likeliest first."""
    return tuple(stem + suffix for stem in _list_stems(image))


def _list_stems(image: Path) -> tuple[str, ...]:
    """List what an image's name and its mask's may have in common, the likeliest first."""
    stem = image.stem
    return stem, *(stem.removesuffix(own) for own in _IMAGE_SUFFIXES if stem.endswith(own))


def _find_fault(claimants: list[FilePair], *, there: bool) -> str | None:
    first, *others = claimants
    if others:
        names = ", ".join(pair.image_path.name for pair in others)
        return f"{first.image_path} has the same name as {names}; keep the one that the mask is of"
    if not there:
        return f"{first.image_path} has no mask; there is no {first.mask_path}"
    return None
