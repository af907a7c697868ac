"""Ground truth as shapes: polygons, run lengths and ellipses, drawn one image at a time."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from edgeseg.datasets.truth.ellipses import fill_ellipse
from edgeseg.datasets.truth.mask_file import ReadTruth
from edgeseg.datasets.truth.outlines import fill_outlines
from edgeseg.datasets.truth.runs import fill_runs, unpack_counts
from edgeseg.errors import DatasetError, SourceError
from edgeseg.images.sizes import check_size

__all__ = ["ShapeList", "pack_shapes"]

_BYTES: Final = 3  # a pixel: the mask, a shape, and a copy of it


class _Region(msgspec.Struct):
    """Run lengths of an image's columns, those of the rows of a `window`, or an ellipse.

    `size` is the image's height and width, `window` is left, top, width and height. `ellipse` has
    the numbers of `fill_ellipse`.
    """

    counts: list[int] | str = ""
    size: tuple[int, int] | None = None
    window: tuple[int, int, int, int] | None = None
    ellipse: tuple[float, float, float, float, float] | None = None


class _Shape(msgspec.Struct, array_like=True):
    """The class id of a shape, and its polygons, run lengths or ellipse."""

    own: int
    area: list[list[float]] | _Region


_DECODER: Final = msgspec.json.Decoder(list[_Shape])


def pack_shapes(shapes: Iterable[tuple[int, bytes | msgspec.Raw]]) -> bytes:
    """Pack the class ids of shapes and their JSON, in the order in which they are drawn."""
    texts = (b"[%d,%s]" % (own, bytes(area)) for own, area in shapes)
    return zlib.compress(b"[" + b",".join(texts) + b"]", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeList:
    """The shapes of one image, as `pack_shapes` packs them; later ones lie over earlier ones.

    `path` is the file that lists the shapes of all images, and `name` the image. Pixels of no shape
    have the id `rest`.
    """

    path: Path
    name: str
    height: int
    width: int
    packed: bytes
    rest: int

    @property
    def is_verbatim(self) -> bool:
        """False: the ids are given by class names."""
        return False

    @property
    def fingerprint(self) -> str:
        """The hash of the shapes, which are in memory."""
        text = f"{self.height} {self.width} {self.rest} "
        return hashlib.sha256(text.encode() + zlib.decompress(self.packed)).hexdigest()

    def read(self) -> ReadTruth:
        """Draw the shapes; see `Truth`."""
        try:
            check_size(self.height, self.width, _BYTES)
            shapes = _DECODER.decode(zlib.decompress(self.packed))
            highest = max([self.rest, *(shape.own for shape in shapes)])
            dtype = np.uint8 if highest <= 255 else np.uint16
            mask = np.full((self.height, self.width), self.rest, dtype)
            for shape in shapes:
                mask[_fill(shape.area, self.height, self.width)] = shape.own
        except SourceError as error:
            raise SourceError(f"{self.path}: the image {self.name} {error}") from None
        except msgspec.DecodeError as error:
            raise DatasetError(self._explain(f"cannot be read: {error}")) from None
        except ValueError as error:
            raise DatasetError(self._explain(str(error))) from None
        return ReadTruth(mask=mask)

    def make_absolute(self) -> ShapeList:
        """Return the same shapes with an absolute path."""
        return replace(self, path=self.path.absolute())

    def _explain(self, fault: str) -> str:
        return f"{self.path}: a shape of {self.name} {fault}; correct it, or remove it"


def _fill(area: list[list[float]] | _Region, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Fill a shape as a mask (height, width)."""
    if not isinstance(area, _Region):
        return fill_outlines(area, height, width)
    if area.ellipse is not None:
        return fill_ellipse(area.ellipse, height, width)
    counts = unpack_counts(area.counts) if isinstance(area.counts, str) else area.counts
    if area.window is not None:
        return _fill_window(counts, area.window, height, width)
    if area.size is not None and area.size != (height, width):
        there = "x".join(map(str, area.size))
        raise ValueError(f"is made for an image of {there}, and this one is {height}x{width}")
    return fill_runs(counts, height * width).reshape(width, height).T


def _fill_window(
    counts: list[int] | npt.NDArray[np.int64],
    window: tuple[int, int, int, int],
    height: int,
    width: int,
) -> npt.NDArray[np.bool_]:
    left, top, across, down = window
    if min(window) < 0 or left + across > width or top + down > height:
        raise ValueError(f"reaches outside the image of {height}x{width}")
    filled = np.zeros((height, width), bool)
    part = fill_runs(counts, across * down).reshape(down, across)
    filled[top : top + down, left : left + across] = part
    return filled
