"""Explains that a folder has no layout that edgeseg knows: what it holds, and what may be meant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

from edgeseg.data_rules import NO_RULES
from edgeseg.datasets.layouts import LAYOUT_NAMES, Layout, recognize
from edgeseg.datasets.layouts.mapillary import explain_missing_config
from edgeseg.datasets.layouts.places import SPLIT_FOLDERS, list_folders
from edgeseg.errors import EdgesegError
from edgeseg.images import IMAGE_SUFFIXES, MASK_SUFFIXES, list_files
from edgeseg.text import list_some

__all__ = ["explain_unknown_layout"]

_MOST_NAMED: Final = 8
_MOST_FOLDERS: Final = 32  # that are looked into
_SUFFIXES: Final = (*IMAGE_SUFFIXES, *MASK_SUFFIXES)


def explain_unknown_layout(root: Path) -> str:
    """Say what a folder holds, and what may be meant, or else which forms there are."""
    there = sorted(
        f"{path.name}/" if path.is_dir() else path.name
        for path in root.iterdir()
        if not path.name.startswith(".")
    )
    shown = list_some(there, _MOST_NAMED) or "nothing"
    told = f"data set {root} has no layout that edgeseg knows"
    hint = (
        explain_missing_config(root)
        or _find_data_set_below(root)
        or _find_files_of_same_names(root)
    )
    if hint is not None:
        return f"{told}. It holds {shown}. {hint}"
    return (
        f"{told}; name your folders with --images-dir and --masks-dir. It holds {shown}. The "
        f"layouts are {', '.join(LAYOUT_NAMES)}; docs/datasets.md says by what each is recognized"
    )


def _find_data_set_below(root: Path) -> str | None:
    """Name the folders that are data sets, as an archive has them that was unpacked into `root`."""
    found = [
        f"{name}/ ({layout.title})"
        for name in list_folders(root)[:_MOST_FOLDERS]
        if (layout := _recognize(root / name)) is not None
    ]
    if not found:
        return None
    which = "give that folder" if len(found) == 1 else "give one of these folders"
    return f"In it, {', '.join(found)} may be meant: {which}"


def _recognize(folder: Path) -> Layout | None:
    try:
        return recognize(folder, NO_RULES)
    except EdgesegError:  # whoever names the folder is told
        return None


def _find_files_of_same_names(root: Path) -> str | None:
    """Name two folders whose files have the same names, perhaps images and masks."""
    for above in (root, *(root / split for split in list_folders(root, SPLIT_FOLDERS))):
        files = {
            name: list_files(above / name, _SUFFIXES)
            for name in list_folders(above)[:_MOST_FOLDERS]
        }
        for one, other in combinations(files, 2):
            images, masks = (other, one) if _are_images(files[other]) else (one, other)
            if _share_names(files[images], files[masks]) and not _are_images(files[masks]):
                return (
                    f"{above.name}/{one} and {above.name}/{other} hold files of the same names: "
                    f"if they are images and masks, say so with --images-dir and --masks-dir, as "
                    f"--images-dir {images} --masks-dir {masks}"
                )
    return None


def _are_images(files: Sequence[Path]) -> bool:
    """Tell whether some file cannot be a mask, as a JPEG."""
    return any(path.suffix.lower() not in MASK_SUFFIXES for path in files)


def _share_names(files: Sequence[Path], others: Sequence[Path]) -> bool:
    return not {path.stem for path in files}.isdisjoint(path.stem for path in others)
