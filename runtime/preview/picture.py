"""Makes a JPEG of a result, with the colors that a viewer chose."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import ClassMap
from edgeseg.runtime.legend import Legend, make_color_table
from edgeseg.runtime.result import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

__all__ = ["Look", "parse_look", "to_jpeg"]

# Wider frames are shown at a half, a third, ... of their size: a page shows no more detail, and
# encoding takes time from the engine.
_WIDEST: Final = 1280
_QUALITY: Final = 80
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Which classes are colored, and the opacity of their colors, 0 to 1."""

    hidden: frozenset[int] = frozenset()
    opacity: float = 0.5


def parse_look(query: Mapping[str, str], classes: int) -> Look | None:
    """Parse `hide=3,4&opacity=60`, opacity in percent; None where the query is not valid."""
    ids = [part for part in query.get("hide", "").split(",") if part]
    percent = query.get("opacity", "50")
    if not all(_is_number(part) and int(part) < classes for part in ids):
        return None
    if not (_is_number(percent) and int(percent) <= 100):
        return None
    return Look(hidden=frozenset(map(int, ids)), opacity=int(percent) / 100)


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _DIGITS


def to_jpeg(result: Result, legend: Legend, look: Look, *, whole: bool = False) -> bytes:
    """Draw the classes' colors over the frame and encode it; `whole` keeps the frame's size."""
    step = 1 if whole else -(-result.mask.shape[1] // _WIDEST)
    frame = np.ascontiguousarray(result.captured.image[::step, ::step])
    drawn = _blend(frame, result.mask[::step, ::step], legend, look)
    encoded = io.BytesIO()
    drawn.save(encoded, "JPEG", quality=_QUALITY)
    return encoded.getvalue()


def _blend(frame: npt.NDArray[np.uint8], mask: ClassMap, legend: Legend, look: Look) -> Image.Image:
    from PIL import Image

    palette = make_color_table(legend)
    opacity = np.full(len(palette), round(255 * look.opacity), np.uint8)
    opacity[[*look.hidden, *legend.clear]] = 0
    height, width = mask.shape
    shown = Image.frombuffer("RGB", (width, height), frame, "raw", "BGR", 0, 1)
    colors = Image.fromarray(palette.take(mask, axis=0))
    return Image.composite(colors, shown, Image.fromarray(opacity.take(mask)))
