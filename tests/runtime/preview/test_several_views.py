"""One preview of several sources: a grid, a page for each, and figures by name."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from previews import ABOUT, get, open_browser, result, until

from edgeseg.runtime.events import Event, Events, Kind
from edgeseg.runtime.preview.address import Address
from edgeseg.runtime.preview.sink import PreviewSink, open_previews

NAMES = ("front", "left", "rear", "right")


@contextmanager
def previews() -> Iterator[list[PreviewSink]]:
    abouts = [
        replace(ABOUT, name=name, source=f"camera {i}", events=Events())
        for i, name in enumerate(NAMES)
    ]
    sinks = open_previews(Address(host="127.0.0.1", port=0), abouts)
    try:
        yield sinks
    finally:
        for sink in sinks:
            sink.finish()


def test_each_source_has_its_own_figures_and_pictures() -> None:
    with previews() as (front, left, *_):
        for index in range(3):
            front.write(result(index))
        left.write(result(0, height=240, width=320))
        sources = json.loads(get(front, "/sources")[2])
        assert [(one["name"], one["frames"]) for one in sources] == [
            *(("front", 3), ("left", 1), ("rear", 0), ("right", 0)),
        ]
        assert json.loads(get(front, "/left/stats")[2])["frames"] == 1
        info = json.loads(get(front, "/rear/info")[2])
        assert (info["source"], info["name"], info["several"]) == ("camera 2", "rear", True)
        status, headers, body = get(front, "/left/picture")
        assert (status, headers["Content-Type"]) == (200, "image/jpeg")
        assert body.startswith(b"\xff\xd8")
        assert get(front, "/right/picture")[0] == 503
        assert get(front, "/nobody/stats")[0] == 404
        assert get(front, "/")[2] != get(front, "/front/")[2]


def test_a_single_source_with_a_name_has_the_pages_of_one() -> None:
    about = replace(ABOUT, name="front", events=Events())
    (sink,) = open_previews(Address(host="127.0.0.1", port=0), [about])
    try:
        info = json.loads(get(sink, "/info")[2])
        assert (info["name"], info["several"]) == ("front", False)
        assert get(sink, "/front/info")[0] == 404
    finally:
        sink.finish()


def test_metrics_carry_the_names() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    with previews() as (front, left, *_):
        front.write(result(0))
        front.write(result(1))
        left.write(result(0))
        _, _, body = get(front, "/metrics")
        _, _, own = get(front, "/left/metrics")
    frames = {
        sample.labels["source"]: sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == "edgeseg_frames_total"
    }
    assert frames == {"front": 2, "left": 1, "rear": 0, "right": 0}
    assert b'edgeseg_frames_total{source="left"} 1.0' in own
    assert b'source="front"' not in own


def test_one_source_that_gives_frames_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    with previews() as (front, *_):
        front.write(result(0))
        monkeypatch.setattr("edgeseg.runtime.preview.pages._HEALTHY_S", 0.0)
        assert get(front, "/healthz")[0] == 503
        monkeypatch.undo()
        status, _, body = get(front, "/healthz")
        assert status == 200
        newest = json.loads(body)["newest_frame_s"]
        assert newest["front"] is not None
        assert newest["rear"] is None


def tell(sink: PreviewSink, kind: Kind) -> None:
    sink._view.about.events.tell(Event(kind=kind, text=kind))


def test_sources_that_are_lost_or_over_say_so_and_have_no_rates() -> None:
    with previews() as (front, left, rear, right):
        for sink in (front, left, rear):
            sink.write(result(0))
            sink.write(result(1))
        left.finish()
        for sink in (rear, right):
            tell(sink, "lost")
        rear.discard()
        sources = json.loads(get(front, "/sources")[2])
        states = dict(zip(NAMES, ("live", "ended", "lost", "retrying"), strict=True))
        assert {one["name"]: one["state"] for one in sources} == states
        assert [one["age_p50_ms"] is None for one in sources] == [False, True, True, True]
        assert [one["fps"] > 0 for one in sources] == [True, False, False, False]
        assert sources[1]["frames"] == 2
        stats = json.loads(get(front, "/left/stats")[2])
        assert (stats["state"], stats["stages_ms"], stats["fps"]) == ("ended", {}, 0)
        own = get(front, "/left/metrics")[2]
        assert b"edgeseg_frame_age_seconds{" not in own
        assert b"edgeseg_newest_frame_seconds{" not in own
        assert b'edgeseg_frames_total{source="left"} 2.0' in own
        tell(right, "back")
        right.write(result(0))
        assert json.loads(get(front, "/right/stats")[2])["state"] == "live"


def test_an_ended_source_is_healthy_and_does_not_hide_a_dead_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find_health(path: str) -> tuple[int, object]:
        status, _, body = get(front, f"{path}/healthz")
        return status, json.loads(body)["state"]

    with previews() as (front, left, rear, right):
        for sink in (left, rear):
            sink.write(result(0))
        left.finish()
        tell(rear, "lost")
        rear.finish()  # as outputs of a live source end, which keep what they have
        right.finish()
        assert find_health("")[0] == 200
        monkeypatch.setattr("edgeseg.runtime.preview.pages._HEALTHY_S", 0.0)
        assert find_health("/left") == (200, "ended")
        assert find_health("/rear") == (503, "lost")
        assert find_health("/front") == (503, "waiting")
        states = {"front": "waiting", "left": "ended", "rear": "lost", "right": "ended"}
        assert find_health("") == (503, states)


def test_the_preview_ends_with_the_last_source() -> None:
    with previews() as sinks:
        sinks[0].finish()
        sinks[0].finish()
        assert get(sinks[1], "/left/stats")[0] == 200
        for sink in sinks[1:]:
            sink.discard()
        with pytest.raises((OSError, http.client.HTTPException)):
            get(sinks[1], "/left/stats")


def test_a_real_browser_shows_the_grid(tmp_path: Path) -> None:
    complaints: list[str] = []
    with ExitStack() as stack:
        sinks = stack.enter_context(previews())
        for sink in sinks[:3]:  # the fourth has no frame yet
            sink.write(result(0, height=240, width=320))
        browser = stack.enter_context(open_browser())
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(sinks[0].url)
        page.get_by_text("4 sources", exact=True).wait_for()
        assert page.locator("#sources a").count() == 4
        until(lambda: count_shown(page) == 3, "three pictures are shown")
        assert "waiting" in page.locator("#sources a", has_text="right").text_content()
        before = page.locator("#sources img").first.get_attribute("src")
        sinks[0].write(result(1, height=240, width=320))
        until(
            lambda: page.locator("#sources img").first.get_attribute("src") != before,
            "the picture is asked for again",
        )
        page.screenshot(path=tmp_path / "grid.png")

        page.locator("#sources a", has_text="left").click()
        page.get_by_text("source camera 1").wait_for()
        assert page.url == f"{sinks[0].url}left/"
        until(lambda: count_shown(page, "#picture") == 1, "the picture is shown large")
        page.get_by_role("link", name="All sources").click()
        page.get_by_text("4 sources", exact=True).wait_for()

        left = page.locator("#sources a", has_text="left")
        until(lambda: " FPS, age " in left.text_content(), "its rate is shown")
        sinks[1].finish()
        tell(sinks[2], "lost")
        until(lambda: left.locator(".state").text_content() == "ended", "its end is shown")
        assert left.locator(".figures").text_content() == "1 frame, 0 dropped"
        assert "bad" not in left.locator(".state").get_attribute("class")
        rear = page.locator("#sources a", has_text="rear")
        assert rear.locator(".state").text_content() == "lost, trying again"
        assert "FPS" not in rear.text_content()
        left.click()
        page.get_by_text("ended", exact=True).wait_for()
        assert "bad" not in (page.locator("#state").get_attribute("class") or "")
        figures = page.text_content("#figures")
        assert "Frames1" in figures
        assert not any(gone in figures for gone in ("FPS", "age", "Stage"))
        until(lambda: count_shown(page, "#picture") == 1, "its last picture stays")

        phone = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True)
        phone.goto(sinks[0].url)
        phone.get_by_text("4 sources", exact=True).wait_for()
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints == []


def count_shown(page: object, which: str = "#sources img") -> int:
    shown = "images => images.filter(image => image.naturalWidth > 0).length"
    return int(page.locator(which).evaluate_all(shown))  # type: ignore[attr-defined]
