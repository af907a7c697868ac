"""Reads COCO's JSON once, and keeps the text of each shape as it lies in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edgeseg.errors import DatasetError, SourceError
from edgeseg.labels import normalize_name
from edgeseg.memory import find_free_memory
from edgeseg.text import explain, pluralize

__all__ = ["CocoFile", "read_coco_file"]

# Its text, its lists and its packed shapes together take about twice the file.
_SHARE: Final = 0.4


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    height: int
    width: int


class _Annotation(msgspec.Struct):
    image_id: int | str
    category_id: int
    segmentation: msgspec.Raw = msgspec.Raw(b"[]")
    iscrowd: int | None = 0

    @property
    def has_area(self) -> bool:
        """Whether the shape has more than a box."""
        return bytes(self.segmentation).strip() not in {b"[]", b"null", b"[[]]"}


class _Category(msgspec.Struct):
    id: int
    name: str
    supercategory: str | None = None


class _Content(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoFile:
    """What the JSON says: its images, the names of its classes, and the shapes of each image."""

    images: tuple[_Image, ...]
    names: tuple[str, ...]
    shapes: Mapping[int | str, tuple[_Annotation, ...]]
    categories: Mapping[int, str]
    notes: tuple[str, ...]

    def list_shapes(self, image: _Image) -> Iterator[tuple[str, msgspec.Raw]]:
        """List the normalized class name and the JSON of each shape of an image, as they are drawn.

        Crowd regions are coarse: all others lie over them.
        """
        shapes = self.shapes.get(image.id, ())
        for shape in sorted(shapes, key=lambda one: not one.iscrowd):
            yield self.categories[shape.category_id], shape.segmentation


def read_coco_file(path: Path) -> CocoFile:
    """Read the JSON; shapes are checked when they are drawn.

    Raises:
        SourceError: the file cannot be read, is too large for the memory, or is not COCO's JSON.
        DatasetError: it holds boxes alone, or names an image or a category that it does not have.
    """
    content = _decode(path)
    shapes = [one for one in content.annotations if one.has_area]
    boxes = len(content.annotations) - len(shapes)
    if boxes and not shapes:
        raise DatasetError(
            f"{path} holds boxes and no shapes, as for detection; export it for segmentation"
        )
    _check_references(path, content)
    kept, notes = _drop_supercategories(content)
    if boxes:
        told = f"{path}: {pluralize(boxes, 'annotation')} of {len(content.annotations)}"
        notes = (*notes, f"{told} with a box and no shape, which are not drawn")
    by_image: dict[int | str, list[_Annotation]] = {}
    for shape in shapes:
        by_image.setdefault(shape.image_id, []).append(shape)
    return CocoFile(
        images=tuple(content.images),
        names=tuple(one.name for one in kept),
        shapes={own: tuple(some) for own, some in by_image.items()},
        categories={one.id: normalize_name(one.name) for one in kept},
        notes=notes,
    )


def _decode(path: Path) -> _Content:
    try:
        size, free = path.stat().st_size, find_free_memory()
        if free is not None and size > _SHARE * free:
            raise SourceError(
                f"{path} has {size / 1e9:.1f} GB, and to read it takes about twice as much memory; "
                f"{free / 1e9:.1f} GB are free: split it"
            )
        return msgspec.json.decode(path.read_bytes(), type=_Content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not COCO's JSON: {explain(error)}") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {explain(error)}") from None


def _check_references(path: Path, content: _Content) -> None:
    images = {one.id for one in content.images}
    categories = {one.id for one in content.categories}
    for one in content.annotations:
        if one.image_id not in images or one.category_id not in categories:
            what = "image" if one.image_id not in images else "category"
            own = one.image_id if what == "image" else one.category_id
            raise DatasetError(
                f"{path} has a shape of the {what} {own}, which it does not list; correct it"
            )


def _drop_supercategories(content: _Content) -> tuple[list[_Category], tuple[str, ...]]:
    """Leave out categories that no shape has and that only stand above others, as Roboflow's 0."""
    used = {one.category_id for one in content.annotations}
    above = {one.supercategory for one in content.categories if one.id != 0}
    dropped = [
        one
        for one in content.categories
        if one.id == 0 and one.id not in used and one.name in above
    ]
    kept = sorted((one for one in content.categories if one not in dropped), key=lambda one: one.id)
    if not kept:
        return content.categories, ()
    told = (
        f"the category {one.name!r} only stands above others, and is left out" for one in dropped
    )
    return kept, tuple(told)
