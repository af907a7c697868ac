"""Draws accuracy against cost: two panels, latency and size, each with its Pareto front.

Numbers in the picture are those of the table beside it. Colors tell targets apart, shapes tell
precisions apart. Cells that did not pass are hollow and on no front.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from edgeseg.reports.draw.plot import DOT, INK, Frame, draw_axes, draw_labels, draw_text, make_scale
from edgeseg.reports.phrases import to_plain
from edgeseg.sweep.results import Row, find_front
from edgeseg.targets import TARGETS

__all__ = ["draw_pareto"]

_WIDTH: Final = 1240
_HEIGHT: Final = 500
_TOP: Final = 78
_BOTTOM: Final = 430
_LEGEND: Final = 32  # from the top to the legend's line
_LETTER: Final = 7.2  # mean width of a letter
_OTHER: Final = "#555555"
_PLAIN_SHAPE: Final = "circle"
_SHAPES: Final = {"fp32": _PLAIN_SHAPE, "fp16": "diamond", "bf16": "diamond", "int8": "square"}


class _Panel(NamedTuple):
    frame: Frame
    title: str
    cost: Callable[[Row], float | None]


_PANELS: Final = (
    _Panel(
        Frame(left=84, top=_TOP, right=596, bottom=_BOTTOM, edge=612),
        "latency of a frame (ms)",
        lambda row: row.latency_ms,
    ),
    _Panel(
        Frame(left=712, top=_TOP, right=1224, bottom=_BOTTOM, edge=_WIDTH),
        "size of the files (MB)",
        lambda row: None if row.bytes is None else row.bytes / 1e6,
    ),
)


def draw_pareto(rows: Sequence[Row]) -> str | None:
    """Draw the measured rows as an SVG document; None where none was measured.

    The number at a mark is that of the row in the table, from 1 on.
    """
    panels = [part for panel in _PANELS for part in _draw_panel(panel, rows)]
    if not panels:
        return None
    parts = [
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *_draw_legend(rows),
        *panels,
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="13" '
        f'fill="{INK}" role="img" aria-label="mIoU against latency and size">\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _draw_panel(panel: _Panel, rows: Sequence[Row]) -> list[str]:
    """Draw the rows that have an accuracy and this panel's cost; nothing where none has."""
    points = [
        (number, row, cost, row.miou)
        for number, row in enumerate(rows, 1)
        if (cost := panel.cost(row)) is not None and row.miou is not None
    ]
    if not points:
        return []
    frame = panel.frame
    across = make_scale([cost for *_, cost, _ in points], frame.left, frame.right, most=math.inf)
    up = make_scale([miou for *_, miou in points], frame.bottom, frame.top, most=100)
    places = [(across.place(cost), up.place(miou)) for *_, cost, miou in points]
    passed = [index for index, (_, row, *_) in enumerate(points) if row.status == "passed"]
    front = find_front([(points[index][2], points[index][3]) for index in passed])
    return [
        *draw_axes(frame, across, up, x_title=panel.title, y_title="mIoU (points)"),
        _draw_front([places[passed[index]] for index in front]),
        *(
            _draw_mark(
                place,
                _SHAPES.get(_find_kind(row), _PLAIN_SHAPE),
                _choose_color(row.target),
                filled=row.status == "passed",
                tip=f"{row.name}: {miou:.2f} mIoU, {cost:.2f}",
            )
            for place, (_, row, cost, miou) in zip(places, points, strict=True)
        ),
        *draw_labels(places, [str(number) for number, *_ in points], frame),
    ]


def _draw_front(places: Sequence[tuple[float, float]]) -> str:
    """Draw the front as steps, since there is no cell between two others.

    `places` go from the cheapest cell to the dearest.
    """
    heights = [y for _, y in places]
    corners = zip(places, [*heights[:1], *heights], strict=False)
    path = " ".join(f"{x:.1f},{before:.1f} {x:.1f},{y:.1f}" for (x, y), before in corners)
    return f'<polyline points="{path}" fill="none" stroke="{_OTHER}" stroke-dasharray="5 4"/>'


def _draw_mark(
    place: tuple[float, float], shape: str, color: str, *, tip: str, filled: bool = True
) -> str:
    """Draw a mark around a place; `tip` shows under the pointer."""
    x, y = place
    style = f'fill="{color if filled else "white"}" stroke="{color}" stroke-width="2"'
    inside = f"<title>{escape(to_plain(tip))}</title>"
    match shape:
        case "square":
            side = 2 * DOT - 1
            at = f'x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side}" height="{side}"'
            return f"<rect {at} {style}>{inside}</rect>"
        case "diamond":
            reach = DOT + 2
            path = (
                f"M{x:.1f},{y - reach:.1f} l{reach},{reach} l-{reach},{reach} l-{reach},-{reach}z"
            )
            return f'<path d="{path}" {style}>{inside}</path>'
        case _:
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{DOT}" {style}>{inside}</circle>'


def _choose_color(target: str) -> str:
    return TARGETS[target].color if target in TARGETS else _OTHER


def _find_kind(row: Row) -> str:
    """Find the precision that the variant computes in; without a variant, the one asked for."""
    parts = (row.variant or row.precision).split("+")  # a form's name may come first
    found = (kind for part in parts for kind in _SHAPES if part.startswith(kind))
    return next(found, row.precision)


def _draw_legend(rows: Sequence[Row]) -> list[str]:
    """Draw the colors of the targets and the shapes of the precisions that occur.

    Words for the hollow marks and the dashed line follow.
    """
    measured = [row for row in rows if row.miou is not None]
    entries = {row.target: (_PLAIN_SHAPE, _choose_color(row.target)) for row in measured}
    kinds = map(_find_kind, measured)
    entries |= {kind: (_SHAPES.get(kind, _PLAIN_SHAPE), _OTHER) for kind in kinds}
    parts, left = [], float(_PANELS[0].frame.left)
    for name, (shape, color) in entries.items():
        parts.append(_draw_mark((left, _LEGEND - 4), shape, color, tip=name))
        parts.append(draw_text(left + 12, _LEGEND, name, anchor="start"))
        left += 40 + _LETTER * len(name)
    parts.append(
        draw_text(left, _LEGEND, "hollow: did not pass; dashed: Pareto front", anchor="start")
    )
    return parts
