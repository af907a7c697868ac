"""Draws accuracy against latency at several input sizes, as a curve to choose a size from.

Table 2 of the SegFormer paper (Xie et al. 2021, arXiv:2105.15203) compares sizes in this way: one
network on Cityscapes, at short sides of 512 to 1024 pixels, reaches 71.9 to 76.2 mIoU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import quoteattr

from edgeseg.reports.draw.plot import DOT, INK, Frame, draw_axes, draw_labels, draw_text, make_scale
from edgeseg.reports.measured import SidePoint

__all__ = ["draw_accuracy_latency"]

_WIDTH: Final = 760
_HEIGHT: Final = 470
_FRAME: Final = Frame(left=84, top=64, right=730, bottom=400, edge=_WIDTH)
_CURVE: Final = "#1d5a96"  # dark enough for a printer without color


def draw_accuracy_latency(points: Sequence[SidePoint], *, title: str) -> str:
    """Draw an SVG document: a dot for each point, mIoU against latency.

    There is at least one point. A curve joins the dots in the order of their short sides.
    """
    ordered = sorted(points, key=lambda point: point.short_px)
    left, top, right, bottom, _ = _FRAME
    across = make_scale([point.latency_ms for point in ordered], left, right, most=math.inf)
    up = make_scale([point.miou for point in ordered], bottom, top, most=100)
    dots = [(across.place(point.latency_ms), up.place(point.miou)) for point in ordered]
    title_size = min(17, 1.7 * _WIDTH / max(len(title), 1))  # smaller if the title is long
    parts = [
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        draw_text(
            (left + right) / 2, 32, title, f'font-size="{title_size:.1f}" font-weight="bold"'
        ),
        *draw_axes(_FRAME, across, up, x_title="latency of a frame (ms)", y_title="mIoU (points)"),
        _draw_curve(dots),
        *(_draw_dot(x, y, point) for (x, y), point in zip(dots, ordered, strict=True)),
        *draw_labels(dots, [f"{point.short_px} px: {point.miou:.1f}" for point in ordered], _FRAME),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="13" '
        f'fill="{INK}" role="img" aria-label={quoteattr(title)}>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _draw_curve(dots: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    return f'<polyline points="{path}" fill="none" stroke="{_CURVE}" stroke-width="2"/>'


def _draw_dot(x: float, y: float, point: SidePoint) -> str:
    tip = f"{point.height}x{point.width}: {point.miou:.2f} mIoU, {point.latency_ms:.2f} ms"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{DOT}" fill="{_CURVE}" stroke="white" '
        f'stroke-width="1.5"><title>{tip}</title></circle>'
    )
