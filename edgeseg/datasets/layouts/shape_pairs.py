"""Pairs images with the shapes that one file lists for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgeseg.datasets.dataset import Unpaired
from edgeseg.datasets.items import FilePair
from edgeseg.datasets.layouts.named_images import find_named_image
from edgeseg.datasets.truth.shape_list import ShapeList, pack_shapes
from edgeseg.images import list_files

if TYPE_CHECKING:
    import msgspec

__all__ = ["ShapedImage", "pair_shapes"]


class ShapedImage(NamedTuple):
    """An image's name and size, and the ids and JSON of its shapes as they are drawn."""

    name: str
    height: int
    width: int
    shapes: Sequence[tuple[int, bytes | msgspec.Raw]]


def pair_shapes(
    images: Iterable[ShapedImage],
    folders: Sequence[Path],
    *,
    origin: Path,
    rest: int,
    whole: Path | None,
) -> tuple[tuple[FilePair, ...], tuple[Unpaired, ...]]:
    """Find the images of shapes in the first folder that has them, and list what has no partner.

    `origin` is the file of shapes, and `rest` the id of pixels of no shape. All images in the
    folder `whole` should be named by the file.

    Raises:
        DatasetError: a name leads outside the folders.
    """
    pairs, left = [], []
    for image in images:
        path = find_named_image(image.name, folders, origin=origin)
        if not path.exists():
            reason = f"{origin} names {image.name}, and there is no {path}"
            left.append(Unpaired(name=path.stem, reason=reason))
            continue
        truth = ShapeList(
            path=origin,
            name=image.name,
            height=image.height,
            width=image.width,
            packed=pack_shapes(image.shapes),
            rest=rest,
        )
        pairs.append(FilePair(path, truth))
    named = {pair.image_path.name for pair in pairs}
    left += (
        Unpaired(name=path.stem, reason=f"{path} is not named by {origin}")
        for path in (() if whole is None else list_files(whole))
        if path.name not in named
    )
    return tuple(pairs), tuple(left)
