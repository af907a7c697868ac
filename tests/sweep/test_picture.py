from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.sweep.picture import draw_pareto
from edgeseg.sweep.results import Row, find_front

SVG = "{http://www.w3.org/2000/svg}"
POINTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30)


def row(number: int, **fields: object) -> Row:
    values: dict[str, object] = {
        "name": f"cell <{number}> & more",
        "weights": "w",
        "target": ("onnxruntime", "openvino")[number % 2],
        "precision": "int8",
        "status": "passed",
        "variant": ("int8-linear", "bf16", "fp32")[number % 3],
        "miou": 40.0 + number,
        "bytes": 4_000_000 + 100_000 * number,
        "latency_ms": 10.0 + number,
    }
    return Row(**{**values, **fields})


@given(POINTS)
def test_the_front_is_what_nothing_is_better_than(points: list[tuple[int, int]]) -> None:
    found = find_front([(float(cost), float(value)) for cost, value in points])
    for place, (cost, value) in enumerate(points):
        beaten = any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in points)
        assert (place in found) is not beaten
    assert [points[place] for place in found] == sorted(points[place] for place in found)


def _marks(picture: ET.Element) -> list[ET.Element]:
    return [element for element in picture.iter() if element.find(f"{SVG}title") is not None]


def test_every_row_that_was_measured_is_in_both_panels_by_its_number() -> None:
    rows = [row(number) for number in range(7)]
    rows[2] = msgspec.structs.replace(rows[2], status="missed")
    rows[4] = row(4, status="failed", miou=None, bytes=None, latency_ms=None)
    picture = ET.fromstring(str(draw_pareto(rows)))
    tips = [str(mark.findtext(f"{SVG}title")) for mark in _marks(picture)]
    for number, one in enumerate(rows):
        assert sum(tip.startswith(one.name) for tip in tips) == (0 if number == 4 else 2)
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    for number in (1, 2, 3, 4, 6, 7):
        assert texts.count(str(number)) >= 2
    hollow = [mark for mark in _marks(picture) if mark.get("fill") == "white"]
    assert len(hollow) == 2
    assert len(list(picture.iter(f"{SVG}polyline"))) == 2


@pytest.mark.parametrize(
    ("variant", "shape"),
    [
        ("fp32", "circle"),
        ("merge-queries+fp32", "circle"),
        ("merge-queries+bf16", "path"),
        ("int8-linear+bf16", "rect"),
        ("merge-queries+int8-linear+bf16", "rect"),
    ],
)
def test_a_variant_of_a_form_has_the_shape_of_its_precision(variant: str, shape: str) -> None:
    picture = ET.fromstring(str(draw_pareto([row(0, precision="auto", variant=variant)])))
    cell = [mark for mark in _marks(picture) if "cell <0>" in str(mark.findtext(f"{SVG}title"))]
    assert [mark.tag for mark in cell] == [f"{SVG}{shape}"] * 2


def test_where_nothing_was_measured_there_is_no_picture() -> None:
    assert draw_pareto([row(0, status="failed", miou=None, bytes=None, latency_ms=None)]) is None


def test_one_point_is_enough() -> None:
    assert "<circle" in str(draw_pareto([row(2)]))
