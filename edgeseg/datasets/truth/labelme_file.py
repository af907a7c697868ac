"""Ground truth in labelme's JSON, a file an image, whose shapes are drawn as labelme draws them."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from edgeseg.datasets.hashing import hash_file
from edgeseg.datasets.truth.mask_file import ReadTruth
from edgeseg.datasets.truth.outlines import check_points
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images.sizes import check_size
from edgeseg.labels import normalize_name
from edgeseg.text import explain

if TYPE_CHECKING:
    from PIL import ImageDraw

__all__ = ["LabelmeContent", "LabelmeFile", "LabelmeShape", "read_labelme"]

_BYTES: Final = 3  # a pixel: the mask, a shape, and a copy of it
# How labelme draws what has no area, in pixels.
_LINE_WIDTH: Final = 10
_POINT_RADIUS: Final = 5

_Points = npt.NDArray[np.float64]


class LabelmeShape(msgspec.Struct):
    """A shape: its label, its points in pixels, and the PNG of a mask in base64."""

    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = None
    mask: str | None = None


class LabelmeContent(msgspec.Struct):
    """What edgeseg takes of the JSON; the image's own bytes in it are passed over."""

    shapes: list[LabelmeShape]
    image_path: str = msgspec.field(name="imagePath")
    height: int | None = msgspec.field(name="imageHeight", default=None)
    width: int | None = msgspec.field(name="imageWidth", default=None)


def read_labelme(path: Path) -> LabelmeContent:
    """Read a file.

    Raises:
        SourceError: it cannot be read, or is not labelme's JSON.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=LabelmeContent)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not labelme's JSON: {explain(error)}") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {explain(error)}") from None


@dataclass(frozen=True, slots=True)
class LabelmeFile:
    """The shapes of one image; later ones lie over earlier ones.

    `ids` are the ids of normalized labels, and `rest` that of pixels of no shape. `origin` names in
    messages what lists the labels.
    """

    path: Path
    ids: Mapping[str, int]
    rest: int
    origin: str

    @property
    def is_verbatim(self) -> bool:
        """False: the ids are given by class names."""
        return False

    @property
    def fingerprint(self) -> str:
        """The hash of the file's bytes, and the ids of the labels."""
        return f"{hash_file(self.path)} {sorted(self.ids.items())} {self.rest}"

    def read(self) -> ReadTruth:
        """Draw the shapes; see `Truth`."""
        content = read_labelme(self.path)
        height, width = content.height or 0, content.width or 0
        if height <= 0 or width <= 0:
            raise DatasetError(
                f"{self.path} lacks the image's height and width; save it again with labelme"
            )
        try:
            check_size(height, width, _BYTES)
        except SourceError as error:
            raise SourceError(f"{self.path}: its image {error}") from None
        highest = max(self.rest, *self.ids.values())
        mask = np.full((height, width), self.rest, np.uint8 if highest <= 255 else np.uint16)
        for shape in content.shapes:
            own = self.ids.get(normalize_name(shape.label))
            if own is None:
                raise DatasetError(
                    f"{self.path} has a shape of {shape.label!r}, which is no class of "
                    f"{self.origin}; add the class there, or rename the shape"
                )
            mask[self._draw(shape, height, width)] = own
        return ReadTruth(mask=mask)

    def make_absolute(self) -> LabelmeFile:
        """Return the same file by its absolute path."""
        return replace(self, path=self.path.absolute())

    def _draw(self, shape: LabelmeShape, height: int, width: int) -> npt.NDArray[np.bool_]:
        try:
            points = np.array(shape.points, np.float64).reshape(-1, 2)
            check_points(points, height, width)
            if shape.shape_type == "mask":
                return _paste(shape.mask or "", points, height, width)
            return _draw(shape.shape_type or "polygon", points, height, width)
        except ValueError as error:
            raise DatasetError(
                f"{self.path}: a shape of {shape.label} {error}; correct it, or remove it"
            ) from None


def _draw(kind: str, points: _Points, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Draw a shape with Pillow, (height, width), as labelme does for its own masks."""
    from PIL import Image, ImageDraw

    image = Image.new("1", (width, height))
    draw = ImageDraw.Draw(image)
    xy = [(x, y) for x, y in points.tolist()]
    if kind in {"polygon", "oriented_rectangle"} and len(xy) > 2:
        draw.polygon(xy, outline=1, fill=1)
    elif kind == "rectangle" and len(xy) == 2:
        draw.rectangle([*points.min(axis=0), *points.max(axis=0)], outline=1, fill=1)
    elif kind == "circle" and len(xy) == 2:
        _draw_circle(draw, xy[0], float(np.hypot(*(points[0] - points[1]))))
    elif kind == "point" and len(xy) == 1:
        _draw_circle(draw, xy[0], _POINT_RADIUS)
    elif (kind == "line" and len(xy) == 2) or (kind == "linestrip" and xy):
        draw.line(xy, fill=1, width=_LINE_WIDTH)
    else:
        raise ValueError(f"is a {kind} of {len(xy)} points, which has no known area")
    return np.asarray(image, bool)


def _draw_circle(draw: ImageDraw.ImageDraw, center: tuple[float, float], radius: float) -> None:
    x, y = center
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=1, fill=1)


def _paste(text: str, points: _Points, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Make a mask, (height, width), of a PNG in base64, which lies between two corners."""
    from PIL import Image, UnidentifiedImageError

    if points.shape != (2, 2):
        raise ValueError(f"is a mask of {len(points)} points, and it has two corners")
    (left, top), (right, bottom) = points.astype(int).tolist()
    if not (0 <= left <= right < width and 0 <= top <= bottom < height):
        raise ValueError(f"reaches outside the image of {height}x{width}")
    try:
        image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
        if image.size != (right - left + 1, bottom - top + 1):
            raise ValueError("is a mask whose PNG does not have the size of its box")
        part = np.asarray(image.convert("L")) != 0
    except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"is a mask whose PNG cannot be read: {error}") from None
    filled = np.zeros((height, width), bool)
    filled[top : bottom + 1, left : right + 1] = part
    return filled
