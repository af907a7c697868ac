"""A drawing in SVG, made of elements so that whatever text is in it stays text."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from edgeseg.reports.phrases import to_plain

__all__ = ["Drawing"]


class Drawing:
    """Lengths are px. `kind` is a class of `report.css`, which has the colors."""

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
        """A line, of the width that its kind has."""
        self._add("line", {"class": kind}, x1=x1, y1=y1, x2=x2, y2=y2)

    def dot(self, kind: str, x: float, y: float, *, radius: float) -> None:
        """A circle, filled or not as its kind is."""
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
        """A rectangle; `fill` is a color that no kind has, `tip` shows under the pointer."""
        more = {"class": kind} | ({"fill": fill} if fill else {})
        element = self._add("rect", more, x=x, y=y, width=width, height=height)
        if tip:
            ET.SubElement(element, "title").text = to_plain(tip)

    def text(
        self, x: float, y: float, text: str, *, anchor: str, kind: str = "", turned: float = 0
    ) -> None:
        """A line of text; `turned` by degrees around its anchor."""
        more = {"text-anchor": anchor} | ({"class": kind} if kind else {})
        if turned:
            more["transform"] = f"rotate({turned:g} {x:g} {y:g})"
        self._add("text", more, x=x, y=y).text = to_plain(text)

    def _add(self, tag: str, more: dict[str, str], **numbers: float) -> ET.Element:
        places = {name: f"{round(value, 2):g}" for name, value in numbers.items()}
        return ET.SubElement(self._root, tag, {**more, **places})
