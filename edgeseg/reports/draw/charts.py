"""Draws the charts of the HTML report that stand in a line of text or in a table.

Each is an SVG element. Colors are in `report.css`; shapes say the same to readers who cannot tell
the colors apart. The reference is a ring and the candidate a disk. A change whose interval excludes
zero is a disk, any other a ring.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from edgeseg.reports.draw.svg import Drawing
from edgeseg.reports.phrases import MINUS, format_interval, format_number, format_signed

__all__ = [
    "Span",
    "Spread",
    "draw_bar",
    "draw_dots",
    "draw_dots_scale",
    "draw_drop_bar",
    "draw_spread",
    "draw_spread_scale",
]

# px
_WIDTH: Final = 180
_HEIGHT: Final = 18
_EDGE: Final = 6  # beside a scale, so that marks at its ends are whole


@dataclass(frozen=True, slots=True)
class Span:
    """The ends of a scale."""

    low: float
    high: float

    @staticmethod
    def around(values: Iterable[float | None]) -> Span:
        """Make a span that holds all known values and zero, with a small margin."""
        known = [0.0, *(value for value in values if value is not None)]
        margin = 0.05 * (max(known) - min(known)) or 1.0
        return Span(min(known) - margin, max(known) + margin)

    def place(self, value: float, width: float) -> float:
        """Place a value: px from the left of a drawing. A value beyond the span is at its end."""
        share = (value - self.low) / (self.high - self.low)
        return _EDGE + min(max(share, 0.0), 1.0) * (width - 2 * _EDGE)

    @property
    def ticks(self) -> list[float]:
        """Two to six round values, among them zero."""
        most = (self.high - self.low) / 2
        power = 10.0 ** math.floor(math.log10(most))
        step = max(power * factor for factor in (1, 2, 5) if power * factor <= most)
        return [step * i for i in range(int(self.low / step), int(self.high / step) + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A change in points and its 95 % interval; `rise_is_good` says that more is better."""

    value: float | None
    low: float | None
    high: float | None
    rise_is_good: bool = False

    @property
    def kind(self) -> str:
        """Whether the change is `worse` or `better`, or `unsure` if it may be chance."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return "unsure"
        return "better" if (self.low > 0) == self.rise_is_good else "worse"

    def __str__(self) -> str:
        return f"{format_signed(self.value)}, 95 % interval {format_interval(self.low, self.high)}"


_IOU: Final = Span(0, 100)


def draw_dots(reference: float | None, candidate: float | None) -> str:
    """Draw two IoUs on a scale of 0 to 100, and a line between them where both are known."""
    values = {"reference": reference, "candidate": candidate}
    places = {name: _IOU.place(v, _WIDTH) for name, v in values.items() if v is not None}
    numbers = ", ".join(f"{name} {format_number(values[name])}" for name in places)
    drawing = Drawing(_WIDTH, _HEIGHT, label=f"IoU {numbers or 'unknown'}")
    middle = _HEIGHT / 2
    for tick in (0, 25, 50, 75, 100):
        drawing.line("grid", _IOU.place(tick, _WIDTH), 0, _IOU.place(tick, _WIDTH), _HEIGHT)
    if "candidate" in places:
        start = _IOU.place(0, _WIDTH)
        drawing.box("iou", start, middle - 3, width=places["candidate"] - start, height=6)
    if len(places) == len(values):
        drawing.line("link", places["reference"], middle, places["candidate"], middle)
    for name, place in places.items():
        drawing.dot(name, place, middle, radius=4.5 if name == "reference" else 3)
    return str(drawing)


def draw_dots_scale() -> str:
    """Draw the scale of `draw_dots`."""
    return _draw_scale(_IOU, (0, 50, 100))


def draw_spread(change: Spread, span: Span, *, limit: float | None = None) -> str:
    """Draw a change and its interval around zero, and the limit where there is one."""
    drawing = Drawing(_WIDTH, _HEIGHT, label=str(change))
    middle, zero = _HEIGHT / 2, span.place(0, _WIDTH)
    drawing.line("zero", zero, 0, zero, _HEIGHT)
    if limit is not None:
        place = span.place(limit, _WIDTH)
        drawing.line("limit", place, 0, place, _HEIGHT)
    if change.value is None:
        return str(drawing)
    if change.low is not None and change.high is not None:
        left, right = (span.place(end, _WIDTH) for end in (change.low, change.high))
        drawing.line(f"whisker {change.kind}", left, middle, right, middle)
    drawing.dot(f"mark {change.kind}", span.place(change.value, _WIDTH), middle, radius=3.5)
    return str(drawing)


def draw_spread_scale(span: Span) -> str:
    """Draw the scale of `draw_spread`."""
    return _draw_scale(span, span.ticks)


def draw_bar(value: float, most: float) -> str:
    """Draw a bar as long as `value`; `most` fills the width."""
    width, height = 200, 12
    drawing = Drawing(width, height, label=format_number(value))
    length = width * value / most if most > 0 else 0.0
    drawing.box("bar", 0, 1, width=max(length, 1.0), height=height - 2)
    return str(drawing)


def draw_drop_bar(change: Spread, limit: float | None) -> str:
    """Draw the drop of mIoU and its interval, with zero and the limit."""
    width, height, middle, base = 300, 56, 20, 36
    span = Span.around((change.low, change.value, change.high, limit))
    suffix = "" if limit is None else f", limit {format_number(limit)}"
    drawing = Drawing(width, height, label=f"drop in points: {change}{suffix}")
    drawing.line("axis", _EDGE, base, width - _EDGE, base)
    for name, value in (("0", 0.0), (f"limit {format_number(limit)}", limit)):
        if value is not None:
            place = span.place(value, width)
            drawing.line("zero" if name == "0" else "limit", place, 4, place, base)
            drawing.text(place, height - 6, name, anchor=_choose_anchor(place, width))
    if change.low is not None and change.high is not None:
        left, right = (span.place(end, width) for end in (change.low, change.high))
        box_width = max(right - left, 1.0)
        drawing.box(f"band {change.kind}", left, middle - 5, width=box_width, height=10)
    if change.value is not None:
        drawing.dot(f"mark {change.kind}", span.place(change.value, width), middle, radius=5)
    return str(drawing)


def _draw_scale(span: Span, ticks: Sequence[float]) -> str:
    height = 14
    drawing = Drawing(_WIDTH, height, label="scale")
    for tick in ticks:
        place = span.place(tick, _WIDTH)
        text = f"{tick:g}".replace("-", MINUS)
        drawing.text(place, height - 3, text, anchor=_choose_anchor(place, _WIDTH))
    return str(drawing)


def _choose_anchor(place: float, width: float) -> str:
    """Choose the anchor of a text so that it stays inside the drawing."""
    if place < width / 6:
        return "start"
    return "end" if place > width * 5 / 6 else "middle"
