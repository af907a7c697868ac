"""Draws the sensitivity as a table of stages and roles, darker where INT8 costs more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from edgeseg.segformer.groups import GROUPS, HEAD

__all__ = ["draw_sensitivity"]

_CELL_W: Final = 84
_CELL_H: Final = 30
_LEFT: Final = 70
_TOP: Final = 64


def draw_sensitivity(costs: Mapping[str, float]) -> str:
    """Draw an SVG document; `costs` are in % of the pixels, by group. Absent groups stay white."""
    parts = [*dict.fromkeys(group.part for group in GROUPS if group.part != HEAD), HEAD]
    roles = list(dict.fromkeys(group.role for group in GROUPS))
    most = max(costs.values(), default=0.0) or 1.0
    cells = []
    for column, role in enumerate(roles):
        x = _LEFT + column * _CELL_W
        cells.append(_draw_text(x + _CELL_W / 2, _TOP - 10, role))
        for row, part in enumerate(parts):
            y = _TOP + row * _CELL_H
            cost = costs.get(f"{part}.{role}")
            if cost is None:
                continue
            share = cost / most
            fill = f"rgb({255 - int(40 * share)},{255 - int(170 * share)},{255 - int(190 * share)})"
            cells.append(
                f'<rect x="{x}" y="{y}" width="{_CELL_W - 2}" height="{_CELL_H - 2}" '
                f'fill="{fill}"/>'
            )
            cells.append(_draw_text(x + _CELL_W / 2, y + 19, f"{cost:.2f}"))
    for row, part in enumerate(parts):
        cells.append(_draw_text(_LEFT / 2, _TOP + row * _CELL_H + 19, part))
    title = "Pixels that change class when one group alone is INT8, in %"
    width, height = _LEFT + len(roles) * _CELL_W + 10, _TOP + len(parts) * _CELL_H + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n'
        + _draw_text(width / 2, 22, title)
        + "\n"
        + "\n".join(cells)
        + "\n</svg>\n"
    )


def _draw_text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="middle">{escape(text)}</text>'
