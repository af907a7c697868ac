"""Reads the XML of "CVAT for images 1.1" once: labels, images and the shapes of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from edgeseg.datasets.layouts.xml_events import read_xml
from edgeseg.errors import DatasetError

__all__ = ["CvatFile", "CvatImage", "read_cvat_file"]

_LABEL: Final = ("labels", "label", "name")
_Attributes = Mapping[str, str]


class CvatShape(NamedTuple):
    """A shape: its label, its JSON as `ShapeList` reads it, and its place among the others."""

    label: str
    area: bytes
    z_order: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CvatImage:
    """An image and its shapes, as they are drawn; `subset` is "" where the project has none."""

    name: str
    subset: str
    height: int
    width: int
    shapes: tuple[CvatShape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CvatFile:
    """What the XML says, and lines about what is not drawn."""

    images: tuple[CvatImage, ...]
    labels: tuple[str, ...]
    has_ellipses: bool
    notes: tuple[str, ...]


def read_cvat_file(path: Path) -> CvatFile:
    """Read the XML.

    Raises:
        SourceError: the file cannot be read, is no XML, or declares entities.
        DatasetError: it is of CVAT's other form, for videos, or a number in it is none.
    """
    listener = _Listener(path)
    read_xml(path, listener)
    undrawn = ", ".join(f"{count} {kind}" for kind, count in sorted(listener.undrawn.items()))
    told = f"{path}: shapes without an area are not drawn: {undrawn}"
    labels = dict.fromkeys(listener.labels)
    used = dict.fromkeys(shape.label for image in listener.images for shape in image.shapes)
    return CvatFile(
        images=tuple(listener.images),
        labels=tuple(labels | used),
        has_ellipses=listener.has_ellipses,
        notes=(told,) if undrawn else (),
    )


class _Listener:
    """Collects the images of a file; see `XmlListener`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[str] = []
        self._text = ""
        self._image: _Attributes | None = None
        self._shapes: list[CvatShape] = []
        self.labels: list[str] = []
        self.images: list[CvatImage] = []
        self.undrawn: Counter[str] = Counter()
        self.has_ellipses = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        above = self._open[-1] if self._open else ""
        self._open.append(name)
        self._text = ""
        if name == "track":
            raise DatasetError(
                f"{self._path} is CVAT's form for videos; export it as CVAT for images 1.1"
            )
        if name == "image":
            self._image, self._shapes = attributes, []
        elif above == "image":
            self._add_shape(name, attributes)

    def end(self, name: str) -> None:
        if tuple(self._open[-3:]) == _LABEL:
            self.labels.append(self._text.strip())
        elif name == "image" and self._image is not None:
            self.images.append(self._make_image(self._image))
            self._image = None
        self._open.pop()

    def take_text(self, text: str) -> None:
        self._text += text

    def _add_shape(self, kind: str, attributes: _Attributes) -> None:
        describe = _SHAPES.get(kind)
        if describe is None:
            if kind != "tag":  # of the whole image
                self.undrawn[kind] += 1
            return
        try:
            area = msgspec.json.encode(describe(attributes))
            z_order = int(attributes.get("z_order", 0))
            self._shapes.append(CvatShape(attributes["label"], area, z_order))
        except (KeyError, ValueError) as error:
            raise self._explain(f"a {kind}", error) from None
        self.has_ellipses |= kind == "ellipse"

    def _make_image(self, attributes: _Attributes) -> CvatImage:
        try:
            return CvatImage(
                name=attributes["name"],
                subset=attributes.get("subset", ""),
                height=int(attributes["height"]),
                width=int(attributes["width"]),
                shapes=tuple(sorted(self._shapes, key=lambda shape: shape.z_order)),
            )
        except (KeyError, ValueError) as error:
            raise self._explain("an image", error) from None

    def _explain(self, what: str, error: Exception) -> DatasetError:
        place = self._image.get("name", "?") if self._image is not None else "?"
        reason = f"lacks {error}" if isinstance(error, KeyError) else f"has no number: {error}"
        return DatasetError(f"{self._path}: {what} of {place} {reason}; export it again")


def _describe_polygon(attributes: _Attributes) -> object:
    points = (point.split(",") for point in attributes["points"].split(";"))
    return [[_parse(number) for point in points for number in point]]


def _describe_box(attributes: _Attributes) -> object:
    """Describe a box as the polygon that CVAT makes of it, turned about its center."""
    left, top, right, bottom = (_parse(attributes[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    angle = math.radians(_parse(attributes.get("rotation", "0")))
    if angle:
        x, y = left + (right - left) / 2, top + (bottom - top) / 2
        cosine, sine = math.cos(angle), math.sin(angle)
        corners = [
            (x + cosine * (px - x) - sine * (py - y), y + sine * (px - x) + cosine * (py - y))
            for px, py in corners
        ]
    return [[number for corner in corners for number in corner]]


def _describe_mask(attributes: _Attributes) -> object:
    window = [int(attributes[key]) for key in ("left", "top", "width", "height")]
    return {"counts": [int(count) for count in attributes["rle"].split(",")], "window": window}


def _describe_ellipse(attributes: _Attributes) -> object:
    numbers = [_parse(attributes[key]) for key in ("cx", "cy", "rx", "ry")]
    return {"ellipse": [*numbers, _parse(attributes.get("rotation", "0"))]}


def _parse(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_SHAPES: Final[Mapping[str, Callable[[_Attributes], object]]] = {
    "polygon": _describe_polygon,
    "box": _describe_box,
    "mask": _describe_mask,
    "ellipse": _describe_ellipse,
}
