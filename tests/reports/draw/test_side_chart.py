from __future__ import annotations

import math
from itertools import combinations, pairwise
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.errors import SpecError
from edgeseg.reports.draw.side_chart import draw_accuracy_latency
from edgeseg.reports.measured import SidePoint

SVG = "{http://www.w3.org/2000/svg}"
TITLE = 'B0 on <Cityscapes> & "others"'


class Place(NamedTuple):
    x: float
    y: float


def _point(short_px: int, miou: float, latency_ms: float) -> SidePoint:
    return SidePoint(
        short_px=short_px, height=short_px, width=2 * short_px, miou=miou, latency_ms=latency_ms
    )


# Table 2 of the SegFormer paper, B0 on Cityscapes; latencies from its frames per second.
PAPER = [
    _point(512, 71.9, 1000 / 47.6),
    _point(640, 73.7, 1000 / 37.1),
    _point(768, 75.3, 1000 / 26.3),
    _point(1024, 76.2, 1000 / 15.2),
]
SETS = {
    "paper": PAPER,
    "one": PAPER[:1],
    "equal": [_point(side, 71.9, 21.0) for side in (512, 640, 768, 1024)],
    "flat": [_point(side, 71.9, side / 20) for side in (512, 640, 768)],
    "steep": [_point(side, side / 20, 9.0) for side in (512, 640, 768)],
    "zero": [_point(64, 0.0, 0.0), _point(96, 0.0, 0.0)],
    "full": [_point(64, 100.0, 1500.0), _point(96, 99.9, 2800.0)],
    "far apart": [_point(64, 3.0, 0.01), _point(1024, 97.0, 9000.0)],
}


@pytest.mark.parametrize("points", SETS.values(), ids=SETS)
def test_each_point_is_a_dot_inside_the_axes_with_its_label(points: list[SidePoint]) -> None:
    picture = _parse(draw_accuracy_latency(points, title=TITLE))
    assert len(_dots(picture)) == len(points)
    left, right = _span(picture, "x")
    top, bottom = _span(picture, "y")
    for dot in _dots(picture):
        assert left <= dot.x <= right
        assert top <= dot.y <= bottom
    texts = _texts(picture)
    for point in points:
        assert f"{point.short_px} px: {point.miou:.1f}" in texts


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(st.integers(64, 2048), st.floats(0, 100), st.floats(0, 1e6)),
        min_size=1,
        max_size=9,
    )
)
def test_any_points_make_a_picture_with_few_ticks(drawn: list[tuple[int, float, float]]) -> None:
    picture = _parse(draw_accuracy_latency([_point(*values) for values in drawn], title=TITLE))
    grid = [line for line in picture.iter(f"{SVG}line") if line.get("stroke") == "#dddddd"]
    upright = sum(line.get("x1") == line.get("x2") for line in grid)
    assert 2 <= upright <= 9
    assert 2 <= len(grid) - upright <= 9
    for dot in _dots(picture):
        assert math.isfinite(dot.x)
        assert math.isfinite(dot.y)


def test_dots_lie_where_the_ticks_say() -> None:
    points = [_point(512, 70.0, 20.0), _point(1024, 76.0, 60.0)]
    picture = _parse(draw_accuracy_latency(points, title=TITLE))
    ticks = {text.text: text for text in picture.iter(f"{SVG}text")}
    low, high = _dots(picture)
    assert low.x == pytest.approx(float(ticks["20"].get("x", "")), abs=0.2)
    assert high.x == pytest.approx(float(ticks["60"].get("x", "")), abs=0.2)
    # A tick's text hangs 4.5 below its line.
    assert low.y == pytest.approx(float(ticks["70"].get("y", "")) - 4.5, abs=0.2)
    assert high.y == pytest.approx(float(ticks["76"].get("y", "")) - 4.5, abs=0.2)


def test_higher_is_more_accurate_and_further_right_is_slower() -> None:
    picture = _parse(draw_accuracy_latency(PAPER, title=TITLE))
    for before, after in pairwise(_dots(picture)):
        assert after.x > before.x
        assert after.y < before.y


def test_the_order_of_the_points_changes_nothing() -> None:
    ordered = draw_accuracy_latency(PAPER, title=TITLE)
    assert draw_accuracy_latency(PAPER[::-1], title=TITLE) == ordered


@pytest.mark.parametrize("points", SETS.values(), ids=SETS)
def test_no_label_hides_another(points: list[SidePoint]) -> None:
    picture = _parse(draw_accuracy_latency(points, title=TITLE))
    labels = [
        Place(float(text.get("x", "")), float(text.get("y", "")))
        for text in picture.iter(f"{SVG}text")
        if " px: " in (text.text or "")
    ]
    for one, other in combinations(labels, 2):
        # A label of twelve letters is some 80 wide, a line 15 high.
        assert abs(one.x - other.x) >= 70 or abs(one.y - other.y) >= 14


def test_axes_have_their_units_and_the_title_is_escaped() -> None:
    text = draw_accuracy_latency(PAPER, title=TITLE)
    picture = _parse(text)
    assert {"latency of a frame (ms)", "mIoU (points)", TITLE} <= set(_texts(picture))
    assert picture.get("aria-label") == TITLE
    assert "<Cityscapes>" not in text


def test_it_loads_nothing() -> None:
    text = draw_accuracy_latency(PAPER, title="B0")
    for word in ("href", "url(", "<script", "<style", "<image", "@import"):
        assert word not in text


def test_a_dot_tells_its_size_and_values() -> None:
    picture = _parse(draw_accuracy_latency(PAPER[:1], title=TITLE))
    (told,) = picture.iter(f"{SVG}title")
    assert told.text == "512x1024: 71.90 mIoU, 21.01 ms"


@pytest.mark.parametrize(
    ("miou", "latency_ms"),
    [(-0.1, 1.0), (100.1, 1.0), (math.nan, 1.0), (50.0, -1.0), (1, math.inf)],
)
def test_values_that_cannot_be_are_refused(miou: float, latency_ms: float) -> None:
    with pytest.raises(SpecError, match="a short side of 512 pixels cannot have"):
        _point(512, miou, latency_ms)


def _parse(text: str) -> ET.Element:
    return ET.fromstring(text)


def _texts(picture: ET.Element) -> list[str | None]:
    return [text.text for text in picture.iter(f"{SVG}text")]


def _dots(picture: ET.Element) -> list[Place]:
    return [
        Place(float(dot.get("cx", "")), float(dot.get("cy", "")))
        for dot in picture.iter(f"{SVG}circle")
    ]


def _span(picture: ET.Element, axis: str) -> tuple[float, float]:
    ends = [
        float(line.get(f"{axis}{end}", "")) for line in picture.iter(f"{SVG}line") for end in (1, 2)
    ]
    return min(ends), max(ends)
