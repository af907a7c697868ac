from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from reports import golden_only, hostile, many_classes, measured

from edgeseg.reports.confusions import find_moves
from edgeseg.reports.draw.charts import Span, Spread, draw_dots, draw_drop_bar, draw_spread
from edgeseg.reports.draw.heat_map import draw_heat_map
from edgeseg.reports.measured import ClassResult
from edgeseg.reports.report import Report


def kinds(svg: str) -> list[str]:
    return [element.get("class", "") for element in ET.fromstring(svg).iter()]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0, 6.5), [0, 2, 4, 6]),
        ((-4.3, 2.7), [-4, -2, 0, 2]),
        ((0.01, 0.04), [0, 0.02, 0.04]),
        ((-120, 900), [0, 500]),
        ((0,), [-1, 0, 1]),
    ],
)
def test_a_scale_has_some_round_values_and_zero(
    values: tuple[float, ...], ticks: list[float]
) -> None:
    span = Span.around([*values, None])
    assert span.ticks == pytest.approx(ticks)
    places = [span.place(tick, 200) for tick in span.ticks]
    assert places == sorted(places)
    assert all(0 <= place <= 200 for place in places)


def test_a_mark_says_whether_a_change_is_beyond_chance() -> None:
    def kind(low: float, high: float, *, rise_is_good: bool = False) -> str:
        return Spread(value=(low + high) / 2, low=low, high=high, rise_is_good=rise_is_good).kind

    assert (kind(0.1, 2), kind(-2, -0.1), kind(-1, 2)) == ("worse", "better", "unsure")
    assert (kind(0.1, 2, rise_is_good=True), kind(-2, -1, rise_is_good=True)) == ("better", "worse")
    assert Spread(value=1, low=None, high=None).kind == "unsure"


def test_a_line_shows_what_is_known() -> None:
    assert {"reference", "candidate", "link", "iou"} <= set(kinds(draw_dots(50, 49)))
    assert "reference" not in kinds(draw_dots(None, 49))
    assert "candidate" not in kinds(draw_dots(50, None))
    unknown = Spread(value=None, low=None, high=None)
    assert not any(kind.startswith("mark") for kind in kinds(draw_spread(unknown, Span(-1, 1))))
    known = Spread(value=0.4, low=0.1, high=0.7)
    assert {"limit", "band worse", "mark worse"} <= set(kinds(draw_drop_bar(known, 1.0)))
    assert "limit" not in kinds(draw_drop_bar(known, None))


def classes(count: int) -> tuple[ClassResult, ...]:
    names = ("sky", "road", "car")[:count]
    return tuple(ClassResult(name=n, share=50, images=9, counted=True, iou=50) for n in names)


def report(**confusions: object) -> Report:
    return golden_only(classes=classes(2), **confusions)


def test_moves_are_candidate_less_reference() -> None:
    own, theirs = ((80, 20), (5, 95)), ((90, 10), (25, 75))
    moves = find_moves(report(confusion=own, reference_confusion=theirs))
    assert moves is not None
    assert (moves.source, moves.compared) == ("truth", True)
    np.testing.assert_array_equal(moves.shares, [[-10, 10], [-20, 20]])
    told = [(move.source, move.target, move.pixels, move.share) for move in moves.largest]
    assert told == [("road", "sky", -20, -20.0), ("sky", "road", 10, 10.0)]


def test_moves_without_a_reference_or_without_truth() -> None:
    counts = ((80, 20), (5, 95))
    alone = find_moves(report(confusion=counts))
    between = find_moves(report(agreement_confusion=counts))
    assert alone is not None
    assert between is not None
    assert (alone.source, alone.compared) == ("truth", False)
    assert (between.source, between.compared) == ("reference", False)
    for moves in (alone, between):
        np.testing.assert_array_equal(moves.shares, [[-20, 20], [5, -5]])
        assert [move.pixels for move in moves.largest] == [20, 5]
    assert find_moves(golden_only()) is None


def test_a_class_that_is_not_there_moves_nothing() -> None:
    moves = find_moves(report(confusion=((0, 0), (0, 9))))
    assert moves is not None
    assert moves.largest == ()
    assert not moves.shares.any()


def test_the_heat_map_numbers_its_cells_where_there_is_room() -> None:
    for made, numbered in ((measured(), True), (many_classes(40), False)):
        moves = find_moves(made)
        assert moves is not None
        drawn = draw_heat_map(moves, [result.name for result in made.classes])
        assert ("on-light" in kinds(drawn)) == numbered
        assert kinds(drawn).count("frame") == len(made.classes) + 1


def test_names_in_drawings_stay_text() -> None:
    made = hostile()
    moves = find_moves(made)
    assert moves is not None
    root = ET.fromstring(draw_heat_map(moves, [result.name for result in made.classes]))
    texts = [element.text or "" for element in root.iter("text")]
    assert any(text.startswith("<script>alert(1)") for text in texts)
    assert {element.tag for element in root.iter()} == {"svg", "rect", "title", "text"}
