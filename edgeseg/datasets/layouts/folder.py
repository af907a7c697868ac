"""A folder of images and a folder of masks with the same names.

ROOT/[SPLIT/]images/NAME.jpg      ROOT/[SPLIT/]masks/NAME.png      ROOT/[SPLIT/]dataset.json
ROOT/images/[SPLIT/]NAME.jpg      ROOT/masks/[SPLIT/]NAME.png      or image/, label/ and so on
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

from edgeseg.data_rules import Rules
from edgeseg.datasets.class_files import Classes, find_classes
from edgeseg.datasets.dataset import Dataset
from edgeseg.datasets.layouts.layout import Layout, choose_split
from edgeseg.datasets.layouts.places import Place, find_places, list_folders
from edgeseg.datasets.pairing import Paired, pair_by_name, split_by_suffix
from edgeseg.datasets.truth.id_map import IdMap
from edgeseg.datasets.truth.mask_file import MaskFile
from edgeseg.datasets.unfit_names import explain_unfit_names
from edgeseg.errors import DatasetError
from edgeseg.images import IMAGE_SUFFIXES, MASK_SUFFIXES, list_files
from edgeseg.images.bands import BANDS_SUFFIX, list_frames
from edgeseg.text import list_some, pluralize

__all__ = ["FOLDER", "open_folders", "open_place"]

# The names that people give the two folders. The first ones are ours.
_IMAGES: Final = ("images", "image", "imgs", "img", "JPEGImages")
_MASKS: Final = ("masks", "mask", "labels", "label")
# It holds masks in mmsegmentation's form, which has no masks/.
_ANNOTATIONS: Final = "annotations"
_MOST_NAMED: Final = 5
_DEEPEST: Final = 3  # folders below that of the images in which images are looked for


def open_folders(
    root: Path,
    images: Path,
    masks: Path,
    *,
    split: str | None,
    classes: Classes,
    ids: IdMap | None = None,
) -> Dataset:
    """List the pairs of a folder of images and a folder of masks, which may be the same.

    `ids` says what the ids in the masks mean, if they are not those of the classes.

    Raises:
        DatasetError: there are no images.
    """
    pictures, drawn = list_frames(images), list_files(masks, MASK_SUFFIXES)
    suffix = classes.rules.mask_suffix
    if images == masks:
        if suffix is None:
            raise DatasetError(
                f"{images} holds images and masks; say with --mask-suffix what the name of a mask "
                f"has after its image's, for example _mask"
            )
        pictures, drawn = split_by_suffix(pictures, drawn, suffix)
    if not pictures:
        raise DatasetError(_explain_no_pictures(root, images, masks))
    lossy = [] if drawn else list_files(masks, (".jpg", ".jpeg"))
    if lossy:
        raise DatasetError(
            f"{lossy[0]} is a JPEG, whose compression changes class ids, and {masks} holds no "
            f"other masks; make them anew, as PNGs"
        )
    make_truth = partial(MaskFile, ids=ids, colors=classes.colors)
    paired = pair_by_name(pictures, drawn, folder=masks, make_truth=make_truth, suffix=suffix)
    if drawn and not paired.fits:
        raise DatasetError(explain_unfit_names(pictures, drawn))
    return Dataset(
        origin=str(root),
        split=split,
        items=paired.items,
        labels=classes.labels,
        unpaired=paired.unpaired,
        rules=classes.rules,
        said=classes.said,
        notes=(*classes.notes, *_tell_suffixes(paired, given=suffix is not None)),
    )


def _explain_no_pictures(root: Path, images: Path, masks: Path) -> str:
    """Name the folders below that hold images, or say what to put there."""
    for depth in range(1, _DEEPEST + 1):
        below = sorted(
            {
                path.parent
                for path in images.glob("*/" * depth + "*.*")
                if path.suffix.lower() in IMAGE_SUFFIXES
            }
        )
        if below:
            names = [f"{path.relative_to(images)}/" for path in below]
            first = below[0].relative_to(images)
            return (
                f"{images} itself holds no images; {list_some(names, _MOST_NAMED)} below it "
                f"do. Put all into one folder, or give one folder without --split: "
                f"--images-dir {images.relative_to(root) / first} "
                f"--masks-dir {masks.relative_to(root) / first}"
            )
    return (
        f"{images} holds no images; put some there ({', '.join((*IMAGE_SUFFIXES, BANDS_SUFFIX))})"
    )


def _tell_suffixes(paired: Paired, *, given: bool) -> Iterator[str]:
    """Say which suffix of the masks was found, and which masks have others."""
    if paired.suffix and not given:
        yield (
            f"the name of a mask has {paired.suffix!r} after its image's; --mask-suffix says "
            f"otherwise"
        )
    for other, count in sorted(paired.others.items()):
        verb = "is" if count == 1 else "are"
        yield (
            f"{pluralize(count, 'mask')} of the same images with {other!r} after the image's name "
            f"{verb} left out; those with {paired.suffix!r} are read; --mask-suffix chooses"
        )


def open_place(
    root: Path, places: Mapping[str | None, Place], split: str | None, *, rules: Rules
) -> Dataset:
    """Open a split of a data set whose places are known; the classes are those of a file there.

    Raises:
        DatasetError: there is no such split, or one has to be chosen.
    """
    there = tuple(name for name in places if name is not None)
    own = None if split is None and None in places else choose_split(there, split, origin=str(root))
    above = root if own is None else root / own
    place = places[own]
    classes = find_classes(above, root, place.masks, given=rules)
    found = open_folders(root, *place, split=own, classes=classes)
    # Over a network, to ask whether each image is a folder takes a request each.
    names = sorted(path.name for path in place.images.iterdir() if "." not in path.name)
    below = [
        f"{name}/"
        for name in names
        if name not in places and _holds_frames(Place(place.images / name, place.masks / name))
    ]
    told = f"images in folders of {place.images} are not read: {', '.join(below)}"
    return replace(found, splits=there).add_notes(*((told,) if below else ()))


def _holds_frames(place: Place) -> bool:
    return place.images.is_dir() and place.masks.is_dir() and bool(list_frames(place.images))


def _recognize(root: Path, rules: Rules) -> bool:
    return bool(find_places(root, _list_names(rules)))


def _open(root: Path, split: str | None, rules: Rules) -> Dataset:
    rules = find_classes(root, given=rules).rules  # it may name the folders
    names = _list_names(rules)
    places = find_places(root, names)
    if not places or (split is not None and places.keys() == {None}):
        raise DatasetError(_explain_no_images(root, split, names[0], whole=bool(places)))
    found = open_place(root, places, split, rules=rules)
    place = places[found.split]
    found = found.add_notes(*_name_others(place, found.split, rules))
    if find_places(root, names[:1]).get(found.split) == place:
        return found
    return found.add_notes(f"images are those of {place.images}, and masks those of {place.masks}")


def _name_others(place: Place, split: str | None, rules: Rules) -> Iterator[str]:
    """Name the other folders that may be those of the images or of the masks."""
    masks = () if rules.masks_dir is not None else (*_MASKS, _ANNOTATIONS)
    for name in _list_others(place.masks, split, masks, MASK_SUFFIXES):
        yield f"masks are those of {place.masks}, and not those of {name}; --masks-dir chooses"
    images = () if rules.images_dir is not None else _IMAGES
    for name in _list_others(place.images, split, images, IMAGE_SUFFIXES):
        yield f"images are those of {place.images}, and not those of {name}; --images-dir chooses"


def _list_others(
    taken: Path, split: str | None, names: Sequence[str], endings: tuple[str, ...]
) -> Iterator[str]:
    """List the folders of some names that hold files, beside the one that is taken."""
    below = taken.name == split
    above = taken.parent.parent if below else taken.parent
    wanted = {name.casefold() for name in names}
    for name in list_folders(above) if names else ():
        folder = above / name / taken.name if below else above / name
        usual = name.casefold() in wanted and folder != taken
        if usual and folder.is_dir() and list_files(folder, endings):
            yield f"{name}/"


def _list_names(rules: Rules) -> tuple[tuple[str, str], ...]:
    """List the pairs of names that the two folders may have, the likeliest first."""
    images = _IMAGES if rules.images_dir is None else (rules.images_dir,)
    masks = _MASKS if rules.masks_dir is None else (rules.masks_dir,)
    return tuple(product(images, masks))


def _explain_no_images(
    root: Path, split: str | None, names: tuple[str, str], *, whole: bool
) -> str:
    parts = " and ".join(f"{name}/" for name in names)
    if split is None:
        return (
            f"data set {root} has no {parts}; make them, or name yours with --images-dir and "
            f"--masks-dir"
        )
    more = "; leave --split out to take all of it" if whole else ""
    return f"data set {root} has no split {split!r} with {parts}; it has no splits{more}"


FOLDER: Final = Layout(
    name="folder",
    title="a folder of images and masks",
    looked_for="images/ and masks/ or image/ and label/, perhaps below train/, val/ and test/",
    recognize=_recognize,
    open=_open,
    takes_folders=True,
)
