"""Draws the heat map of the HTML report: which classes the pixels of each true class were given."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

from edgeseg.reports.confusions import Moves
from edgeseg.reports.draw.svg import Drawing
from edgeseg.reports.phrases import format_signed, shorten

__all__ = ["MOST_CLASSES", "draw_heat_map"]

MOST_CLASSES: Final = 40

Rgb = tuple[int, int, int]

# The ends of ColorBrewer's RdBu and PuOr: told apart with every kind of color vision.
_MORE: Final[Rgb] = (179, 88, 6)
_NONE: Final[Rgb] = (250, 250, 249)
_FEWER: Final[Rgb] = (33, 102, 172)
_DARK: Final = 0.55  # from this share of the scale on, text is white
# % of a row: the least that the darkest color stands for. Else tiny shares would look like much.
_LEAST: Final = 1.0
_COARSE: Final = 5.0  # % of a row: numbers have one decimal if the largest reaches it, else two

# px
_CHAR: Final = 6.4
_SLANTED: Final = 4.8  # of a character at 45 degrees, across as well as up
_LEGEND: Final = 240
_NUMBER: Final = 34  # the least side of a cell that holds a number
_LONGEST: Final = 20  # characters of a name


def draw_heat_map(moves: Moves, names: Sequence[str]) -> str:
    """Draw a cell for each pair of classes, as an SVG element.

    Rows are true classes, and columns predicted ones. Cells that are large enough hold numbers.
    """
    count = len(names)
    cell = max(15, min(46, 760 // max(count, 1)))
    most = max(float(abs(moves.shares).max(initial=0.0)), _LEAST)
    short = [shorten(name, _LONGEST) for name in names]
    left = 14 + _CHAR * max(map(len, short))
    top = 18 + _SLANTED * max(map(len, short))
    # What the slanted names reach beyond the last column.
    right = max(_SLANTED * len(n) - cell * (count - at - 0.5) for at, n in enumerate(short))
    drawing = Drawing(
        left + cell * count + max(right, 2),
        top + cell * count + 52,
        label="confusion: rows are true classes, columns predicted classes",
    )
    for place, name in enumerate(short):
        middle = cell * (place + 0.5)
        drawing.text(left - 8, top + middle + 4, name, anchor="end")
        drawing.text(left + middle + 2, top - 8, name, anchor="start", turned=-45)
    _draw_cells(drawing, moves, names, (left, top), cell, most)
    for place in range(count):  # what stayed
        corner = left + cell * place, top + cell * place
        drawing.box("frame", *corner, width=cell, height=cell)
    drawing.box("frame", left, top, width=cell * count, height=cell * count)
    _draw_legend(drawing, left, top + cell * count + 16, most)
    return str(drawing)


def _draw_cells(
    drawing: Drawing,
    moves: Moves,
    names: Sequence[str],
    origin: tuple[float, float],
    cell: int,
    most: float,
) -> None:
    """Draw all cells from the corner `origin` on; a share of `most` has the darkest color."""
    left, top = origin
    digits = 1 if most >= _COARSE else 2
    for row, column in product(range(len(names)), repeat=2):
        value = float(moves.shares[row, column])
        tip = f"{names[row]} → {names[column]}: {format_signed(value)} %"
        corner = left + cell * column, top + cell * row
        fill = _mix_color(value / most)
        drawing.box("cell", *corner, width=cell, height=cell, fill=fill, tip=tip)
        if round(value, digits) and cell >= _NUMBER:
            tone = "on-dark" if abs(value) > _DARK * most else "on-light"
            x, y = corner[0] + cell / 2, corner[1] + cell / 2 + 4
            drawing.text(x, y, format_signed(value, digits), anchor="middle", kind=tone)


def _draw_legend(drawing: Drawing, x: float, y: float, most: float) -> None:
    steps = 24
    for step in range(steps):
        level = 2 * step / (steps - 1) - 1
        width = _LEGEND / steps
        drawing.box("cell", x + step * width, y, width=width, height=10, fill=_mix_color(level))
    drawing.text(x, y + 25, f"{format_signed(-most, 1)} % fewer", anchor="start")
    drawing.text(x + _LEGEND / 2, y + 25, "0", anchor="middle")
    drawing.text(x + _LEGEND, y + 25, f"{format_signed(most, 1)} % more", anchor="end")


def _mix_color(level: float) -> str:
    """Mix the color of a level from -1 (fewest) to 1 (most)."""
    end = _MORE if level > 0 else _FEWER
    mixed = (round(a + abs(level) * (b - a)) for a, b in zip(_NONE, end, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)
