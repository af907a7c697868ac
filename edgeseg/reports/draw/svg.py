"""Builds a drawing in SVG from elements, so that text from outside stays text."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from edgeseg.reports.phrases import to_plain

__all__ = ["Drawing"]


class Drawing:
    """An SVG element; `str()` gives its source. Lengths are px.

    The `kind` of a shape is a class of `report.css`, which has its color.
    """

    def __init__(self, width: float, height: float, *, label: str) -> None:
        self.width = width
        self.height = height
        size = {"width": f"{width:g}", "height": f"{height:g}"}
        box = f"0 0 {width:g} {height:g}"
        about = {"class": "drawing", "role": "img", "aria-label": to_plain(label)}
        self._root = ET.Element("svg", {"viewBox": box, **size, **about})

    def __str__(self) -> str:
        return ET.tostring(self._root, encoding="unicode")

    def line(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
        """Add a line."""
        self._add("line", {"class": kind}, x1=x1, y1=y1, x2=x2, y2=y2)

    def dot(self, kind: str, x: float, y: float, *, radius: float) -> None:
        """Add a circle."""
        self._add("circle", {"class": kind}, cx=x, cy=y, r=radius)

    def box(
        self,
        kind: str,
        x: float,
        y: float,
        *,
        width: float,
        height: float,
        fill: str = "",
        tip: str = "",
    ) -> None:
        """Add a rectangle; `fill` is a color besides its kind's, and `tip` shows at the pointer."""
        more = {"class": kind} | ({"fill": fill} if fill else {})
        element = self._add("rect", more, x=x, y=y, width=width, height=height)
        if tip:
            ET.SubElement(element, "title").text = to_plain(tip)

    def text(
        self, x: float, y: float, text: str, *, anchor: str, kind: str = "", turned: float = 0
    ) -> None:
        """Add a line of text, turned clockwise by `turned` degrees around its anchor."""
        more = {"text-anchor": anchor} | ({"class": kind} if kind else {})
        if turned:
            more["transform"] = f"rotate({turned:g} {x:g} {y:g})"
        self._add("text", more, x=x, y=y).text = to_plain(text)

    def _add(self, tag: str, more: dict[str, str], **numbers: float) -> ET.Element:
        places = {name: f"{round(value, 2):g}" for name, value in numbers.items()}
        return ET.SubElement(self._root, tag, {**more, **places})
