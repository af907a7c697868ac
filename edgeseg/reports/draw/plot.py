"""Draws what charts of points share: axes of round numbers, a grid, and labels beside dots.

Lengths are in SVG's units, and places are (x, y) from the upper left corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

__all__ = ["DOT", "INK", "Frame", "Scale", "draw_axes", "draw_labels", "draw_text", "make_scale"]

DOT: Final = 5  # radius
INK: Final = "#222222"
_GRID: Final = "#dddddd"
_LETTER: Final = 7.2  # mean width of a letter at the size that is used, a little too wide
_LINE: Final = 17  # height of a line of text


class Frame(NamedTuple):
    """The rectangle between the axes; `edge` is how far to the right a label may reach."""

    left: float
    top: float
    right: float
    bottom: float
    edge: float


class Scale(NamedTuple):
    """An axis. Its `ticks` are evenly spaced values; `start` and `stop` place the outer two.

    `decimals` is how many decimals the ticks need.
    """

    ticks: tuple[float, ...]
    decimals: int
    start: float
    stop: float

    def place(self, value: float) -> float:
        """Place a value along the axis."""
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return self.start + share * (self.stop - self.start)


def make_scale(values: Sequence[float], start: float, stop: float, *, most: float) -> Scale:
    """Make an axis of round ticks around the values, with space for dots, within 0 and `most`."""
    low, high = min(values), max(values)
    # At least a twentieth of the value: in a smaller range noise looks like a slope.
    spread = max(high - low, 0.05 * high, 0.1)
    margin = (spread - (high - low)) / 2 + 0.08 * spread
    low, high = max(low - margin, 0), min(high + margin, most)
    step = _round_step((high - low) / 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(index * step for index in range(first, last + 1))
    return Scale(ticks, max(0, -math.floor(math.log10(step) + 1e-9)), start, stop)


def _round_step(step: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * step)


def draw_axes(frame: Frame, across: Scale, up: Scale, *, x_title: str, y_title: str) -> list[str]:
    """Draw grid, ticks and titles, as SVG elements."""
    left, top, right, bottom, _ = frame
    parts = []
    for tick in across.ticks:
        x = across.place(tick)
        parts.append(_draw_line(x, top, x, bottom, _GRID))
        parts.append(draw_text(x, bottom + 22, f"{tick:.{across.decimals}f}"))
    for tick in up.ticks:
        y = up.place(tick)
        parts.append(_draw_line(left, y, right, y, _GRID))
        parts.append(draw_text(left - 10, y + 4.5, f"{tick:.{up.decimals}f}", anchor="end"))
    middle, beside = (top + bottom) / 2, left - 58
    return [
        *parts,
        _draw_line(left, bottom, right, bottom, INK),
        _draw_line(left, top, left, bottom, INK),
        draw_text((left + right) / 2, bottom + 52, x_title),
        draw_text(beside, middle, y_title, f'transform="rotate(-90 {beside:g} {middle:g})"'),
    ]


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def lies_in(self, frame: Frame) -> bool:
        return (
            self.left >= frame.left and self.right <= frame.edge and self.top >= frame.top - _LINE
        )


def draw_labels(
    dots: Sequence[tuple[float, float]], texts: Sequence[str], frame: Frame
) -> list[str]:
    """Draw a label beside each dot, where it hides no other dot or label."""
    taken = [_Box(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in dots]
    parts = []
    for (x, y), words in zip(dots, texts, strict=True):
        boxes = _list_places(x, y, _LETTER * len(words))
        free = (box for box in boxes if box.lies_in(frame) and not any(map(box.meets, taken)))
        box = next(free, boxes[0])
        taken.append(box)
        halo = 'stroke="white" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
        parts.append(draw_text((box.left + box.right) / 2, box.bottom - 4, words, halo))
    return parts


def _list_places(x: float, y: float, width: float) -> list[_Box]:
    """List places for a label, the best first: left above a dot, right below it, then farther."""
    places = []
    for lines in range(12):
        off = DOT + 2 + lines * _LINE
        for left, bottom in (
            (x - width, y - off),
            (x, y + off + _LINE),
            (x - width / 2, y - off),
            (x - width / 2, y + off + _LINE),
            (x, y - off),
        ):
            places.append(_Box(left, bottom - _LINE, left + width, bottom))
    return places


def draw_text(x: float, y: float, words: str, extra: str = "", *, anchor: str = "middle") -> str:
    """Draw a line of text; `extra` holds more attributes of the SVG element."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(words)}</text>'


def _draw_line(x1: float, y1: float, x2: float, y2: float, color: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>'
