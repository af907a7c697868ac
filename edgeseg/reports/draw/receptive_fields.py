"""Draws effective receptive fields as heat maps, a row for each form of a network.

Figure 3 of the SegFormer paper (Xie et al. 2021, arXiv:2105.15203) shows fields so.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

from edgeseg.reports.draw.plot import INK, draw_text
from edgeseg.segformer.receptive_field import HEAD, PARTS, SHARES, ReceptiveField

__all__ = ["MARK", "draw_receptive_fields", "title_part"]

# Stands in each drawing, so that a later one may replace it.
MARK: Final = "<metadata>written by edgeseg inspect</metadata>"

# Matplotlib's viridis (public domain) at equal distances: lightness rises evenly, and every kind of
# color vision tells its steps apart.
_VIRIDIS: Final = (
    *((68, 1, 84), (72, 40, 120), (62, 73, 137), (49, 104, 142), (38, 130, 142)),
    *((31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37)),
)
_LEVELS: Final = 32
_BOLD: Final = 'font-weight="bold"'
_DECADES: Final = 4  # from the largest value of a map down to the darkest color
_MOST_PX: Final = 120  # a map's longer side in the file; the picture shows it larger

# In SVG's units.
_LEFT: Final = 172
_TOP: Final = 104
_CELL: Final = 208  # a column's width, and the most that a map is high
_GAP: Final = 14
_CAPTION: Final = 42  # below a map, for its two numbers
_FOOT: Final = 56
_KEY_W: Final = 260


def draw_receptive_fields(fields: Mapping[str, Mapping[str, ReceptiveField]], *, title: str) -> str:
    """Draw an SVG document that loads nothing: a row for each form, a column for each of `PARTS`.

    All fields are of one input size. A color is a value's share of the largest one in its map, on a
    logarithmic scale of four decades. The squares are those of `SHARES`, with their sides below.
    """
    height, width = next(iter(next(iter(fields.values())).values())).mass.shape
    scale = _CELL / max(height, width)
    row_h = scale * height + _CAPTION
    total_w, total_h = _LEFT + len(PARTS) * (_CELL + _GAP), _TOP + len(fields) * row_h + _FOOT
    title_size = min(17, 1.7 * total_w / max(len(title), 1))  # smaller if the title is long
    parts = [
        f'<rect width="{total_w:g}" height="{total_h:.1f}" fill="white"/>',
        draw_text(16, 32, title, f'font-size="{title_size:.1f}" {_BOLD}', anchor="start"),
        draw_text(16, 56, _describe_method(), anchor="start"),
        *(
            draw_text(_LEFT - 12, _TOP + row * row_h + scale * height / 2, form, anchor="end")
            for row, form in enumerate(fields)
        ),
    ]
    for column, part in enumerate(PARTS):
        x = _LEFT + column * (_CELL + _GAP) + (_CELL - scale * width) / 2
        parts.append(draw_text(x + scale * width / 2, _TOP - 12, title_part(part), _BOLD))
        for row, (form, found) in enumerate(fields.items()):
            name = f"{form}, {title_part(part)}"
            parts += _draw_field(found[part], (x, _TOP + row * row_h), scale, name)
    parts += _draw_key(_LEFT, total_h - _FOOT + 12)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_w:g} {total_h:.1f}" '
        f'width="{total_w:g}" height="{total_h:.1f}" font-family="sans-serif" font-size="13" '
        f'fill="{INK}" role="img" aria-label={quoteattr(title)}>\n'
        f"<title>{escape(title)}</title>\n{MARK}\n" + "\n".join(parts) + "\n</svg>\n"
    )


def title_part(part: str) -> str:
    """Give one of `PARTS` as people write it: `stage 1`."""
    return part if part == HEAD else f"{part[:-1]} {part[-1]}"


def _describe_method() -> str:
    core, most = (f"{100 * share:g} %" for share in SHARES)
    return (
        f"Mean absolute gradient of the central position with respect to the input's pixels; "
        f"squares around it hold {core} (solid) and {most} (dashed)."
    )


def _draw_field(
    field: ReceptiveField, corner: tuple[float, float], scale: float, name: str
) -> list[str]:
    """Draw a map, its squares, and their sides below it; `scale` is in SVG's units a pixel."""
    left, top = corner
    height, width = (scale * side for side in field.mass.shape)
    sides = [field.find_side(share) for share in SHARES]
    numbers = [f"{100 * share:g} % in {side} px" for share, side in zip(SHARES, sides, strict=True)]
    picture = base64.b64encode(_encode_map(field.mass)).decode()
    place = f'x="{left:g}" y="{top:.1f}" width="{width:g}" height="{height:.1f}"'
    return [
        f"<g><title>{escape(name)}: {', '.join(numbers)}</title>",
        f'<image {place} preserveAspectRatio="none" href="data:image/png;base64,{picture}"/>',
        *(
            _draw_square(field, side, corner, scale, dashed=share != SHARES[0])
            for share, side in zip(SHARES, sides, strict=True)
        ),
        "</g>",
        draw_text(left + width / 2, top + height + 18, ", ".join(numbers), 'font-size="12"'),
    ]


def _draw_square(
    field: ReceptiveField, side: int, corner: tuple[float, float], scale: float, *, dashed: bool
) -> str:
    """Draw the part of a centered square that lies in the map."""
    reach = side // 2
    dashes = ' stroke-dasharray="5 3"' if dashed else ""
    (top, bottom), (left, right) = (
        (max(0, middle - reach), min(length, middle + reach + 1))
        for middle, length in zip(field.center, field.mass.shape, strict=True)
    )
    return (
        f'<rect x="{corner[0] + scale * left:.1f}" y="{corner[1] + scale * top:.1f}" '
        f'width="{scale * (right - left):.1f}" height="{scale * (bottom - top):.1f}" '
        f'fill="none" stroke="white" stroke-width="1.2"{dashes}/>'
    )


def _draw_key(x: float, y: float) -> list[str]:
    """Draw the scale of colors, and what its ends mean."""
    ramp = base64.b64encode(_to_png(np.arange(_LEVELS)[None])).decode()
    ticks = [
        draw_text(x + _KEY_W * place / _DECADES, y + 28, words)
        for place, words in enumerate(_name_decades())
    ]
    place = f'x="{x:g}" y="{y:.1f}" width="{_KEY_W}" height="12"'
    return [
        f'<image {place} preserveAspectRatio="none" href="data:image/png;base64,{ramp}"/>',
        *ticks,
        draw_text(
            x + _KEY_W + 40,
            y + 11,
            "share of the largest value in the same map, on a logarithmic scale; "
            "px are the input's",
            anchor="start",
        ),
    ]


def _name_decades() -> list[str]:
    return [f"1/{10**power:,}" if power else "1" for power in range(_DECADES, -1, -1)]


def _encode_map(mass: npt.NDArray[np.float64]) -> bytes:
    """Encode a field, (H, W), as a PNG of at most `_MOST_PX` a side, in the colors of its logs."""
    from PIL import Image

    height, width = mass.shape
    factor = min(1.0, _MOST_PX / max(height, width))
    size = (max(1, round(factor * width)), max(1, round(factor * height)))
    whole = Image.fromarray(mass.astype(np.float32))
    small = np.asarray(whole.resize(size, Image.Resampling.BOX))  # the mean of what lies below
    least = 10.0**-_DECADES
    logs = np.log10(np.maximum(small / small.max(), least)) / _DECADES + 1
    return _to_png(np.rint(logs * (_LEVELS - 1)))


def _to_png(levels: npt.NDArray[np.generic]) -> bytes:
    """Encode levels from 0 to `_LEVELS` - 1, (H, W), as a PNG with a palette."""
    from PIL import Image

    stops = np.linspace(0, len(_VIRIDIS) - 1, _LEVELS)
    channels = np.array(_VIRIDIS).T
    colors = [np.interp(stops, range(len(_VIRIDIS)), channel) for channel in channels]
    picture = Image.fromarray(levels.astype(np.uint8))
    picture.putpalette(np.rint(np.stack(colors, axis=1)).astype(np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, bits=math.ceil(math.log2(_LEVELS)))
    return file.getvalue()
