"""Accuracy against latency at several input sizes, as a curve to choose a size from.

As in table 2 of the SegFormer paper (Xie et al. 2021, arXiv:2105.15203), which has one network at
short sides of 512 to 1024 pixels of Cityscapes: 71.9 to 76.2 mIoU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from edgeseg.reports.report import SidePoint

__all__ = ["accuracy_latency_svg"]

# The picture and the frame that its axes make, in SVG's units.
_WIDTH: Final = 760
_HEIGHT: Final = 470
_LEFT: Final = 84
_RIGHT: Final = 730
_TOP: Final = 64
_BOTTOM: Final = 400

_DOT: Final = 5  # radius
_INK: Final = "#222222"
_GRID: Final = "#dddddd"
_CURVE: Final = "#1d5a96"  # dark enough for a printer without color
_LETTER: Final = 7.2  # mean width of a letter at the size that is used, a little too wide
_LINE: Final = 17  # height of a line of text


def accuracy_latency_svg(points: Sequence[SidePoint], *, title: str) -> str:
    """An SVG document: mIoU against latency, a dot for each of at least one point.

    The dots are joined in the order of their short sides.
    """
    ordered = sorted(points, key=lambda point: point.short_px)
    across = _scale([point.latency_ms for point in ordered], _LEFT, _RIGHT, most=math.inf)
    up = _scale([point.miou for point in ordered], _BOTTOM, _TOP, most=100)
    dots = [(across.place(point.latency_ms), up.place(point.miou)) for point in ordered]
    title_size = min(17, 1.7 * _WIDTH / max(len(title), 1))  # a long one is set smaller
    parts = [
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text((_LEFT + _RIGHT) / 2, 32, title, f'font-size="{title_size:.1f}" font-weight="bold"'),
        *_axes(across, up),
        _curve(dots),
        *(_dot(x, y, point) for (x, y), point in zip(dots, ordered, strict=True)),
        *_labels(dots, [f"{point.short_px} px: {point.miou:.1f}" for point in ordered]),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="13" '
        f'fill="{_INK}" role="img" aria-label={quoteattr(title)}>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


class _Scale(NamedTuple):
    """An axis: its ticks' values, evenly spaced, and where the first and the last one lie."""

    ticks: tuple[float, ...]
    decimals: int
    start: float
    stop: float

    def place(self, value: float) -> float:
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return self.start + share * (self.stop - self.start)


def _scale(values: Sequence[float], start: float, stop: float, *, most: float) -> _Scale:
    """Round ticks around the values, with room for the dots, within 0 and `most`."""
    low, high = min(values), max(values)
    # At least a twentieth of the value: in a smaller range noise looks like a slope.
    spread = max(high - low, 0.05 * high, 0.1)
    margin = (spread - (high - low)) / 2 + 0.08 * spread
    low, high = max(low - margin, 0), min(high + margin, most)
    step = _round_step((high - low) / 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(index * step for index in range(first, last + 1))
    return _Scale(ticks, max(0, -math.floor(math.log10(step) + 1e-9)), start, stop)


def _round_step(step: float) -> float:
    """The next larger of 1, 2 and 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * step)


def _axes(across: _Scale, up: _Scale) -> list[str]:
    parts = []
    for tick in across.ticks:
        x = across.place(tick)
        parts.append(_line(x, _TOP, x, _BOTTOM, _GRID))
        parts.append(_text(x, _BOTTOM + 22, f"{tick:.{across.decimals}f}"))
    for tick in up.ticks:
        y = up.place(tick)
        parts.append(_line(_LEFT, y, _RIGHT, y, _GRID))
        parts.append(_text(_LEFT - 10, y + 4.5, f"{tick:.{up.decimals}f}", anchor="end"))
    middle = (_TOP + _BOTTOM) / 2
    return [
        *parts,
        _line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, _INK),
        _line(_LEFT, _TOP, _LEFT, _BOTTOM, _INK),
        _text((_LEFT + _RIGHT) / 2, _BOTTOM + 52, "latency of a frame (ms)"),
        _text(26, middle, "mIoU (points)", f'transform="rotate(-90 26 {middle:g})"'),
    ]


def _curve(dots: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    return f'<polyline points="{path}" fill="none" stroke="{_CURVE}" stroke-width="2"/>'


def _dot(x: float, y: float, point: SidePoint) -> str:
    told = f"{point.height}x{point.width}: {point.miou:.2f} mIoU, {point.latency_ms:.2f} ms"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_DOT}" fill="{_CURVE}" stroke="white" '
        f'stroke-width="1.5"><title>{told}</title></circle>'
    )


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

    @property
    def inside(self) -> bool:
        return self.left >= _LEFT and self.right <= _WIDTH and self.top >= _TOP - _LINE


def _labels(dots: Sequence[tuple[float, float]], texts: Sequence[str]) -> list[str]:
    """A label beside each dot, where it hides no other dot or label."""
    taken = [_Box(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in dots]
    parts = []
    for (x, y), text in zip(dots, texts, strict=True):
        boxes = _places(x, y, _LETTER * len(text))
        free = (box for box in boxes if box.inside and not any(map(box.meets, taken)))
        box = next(free, boxes[0])
        taken.append(box)
        halo = 'stroke="white" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
        parts.append(_text((box.left + box.right) / 2, box.bottom - 4, text, halo))
    return parts


def _places(x: float, y: float, width: float) -> list[_Box]:
    """Where a label may stand: upper left of a rising curve, right below it, then further off."""
    places = []
    for lines in range(12):
        off = _DOT + 2 + lines * _LINE
        for left, bottom in (
            (x - width, y - off),
            (x, y + off + _LINE),
            (x - width / 2, y - off),
            (x - width / 2, y + off + _LINE),
            (x, y - off),
        ):
            places.append(_Box(left, bottom - _LINE, left + width, bottom))
    return places


def _line(x1: float, y1: float, x2: float, y2: float, color: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>'


def _text(x: float, y: float, text: str, extra: str = "", *, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(text)}</text>'
