from __future__ import annotations

import io
import json
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from previews import ABOUT, LABELS, TOKEN, get, open_browser, preview, result, running, until

from edgeseg.errors import SinkError
from edgeseg.runtime.events import Event
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.preview.picture import Look, parse_look, to_jpeg
from edgeseg.runtime.preview.sink import PreviewSink


def test_stats_tell_of_the_run() -> None:
    with preview() as sink:
        before = json.loads(get(sink, "/stats")[2])
        assert (before["frames"], before["newest_s"], before["shares"]) == (0, None, {})
        for index in range(5):
            sink.write(result(index))
        stats = json.loads(get(sink, "/stats")[2])
    assert (stats["frames"], stats["dropped"], stats["failed"]) == (5, 8, 1)
    assert (before["reused"], stats["reused"]) == (0, 2)
    assert (before["skipped"], stats["skipped"]) == (0, 12)
    assert stats["stages_ms"] == {"grab": 4, "prepare": 1, "infer": 20, "mask": 3}
    assert 0 <= stats["age_p50_ms"] <= stats["age_p99_ms"]
    road = LABELS.classes.index("Road")
    assert stats["shares"]["Road"] == (result(4).mask == road).mean()
    assert sum(stats["shares"].values()) == pytest.approx(1)


def test_info_names_what_runs_and_its_classes() -> None:
    with preview() as sink:
        info = json.loads(get(sink, "/info")[2])
    assert info["bundle"] == "street"
    assert info["engine"] == "engine 1.0"
    assert [one["name"] for one in info["classes"]] == list(LABELS.classes)
    assert info["classes"][4]["colour"] == "#{:02x}{:02x}{:02x}".format(*LABELS.palette[4])


def test_health_follows_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    with preview() as sink:
        assert get(sink, "/healthz")[0] == 200  # it has only begun
        sink.write(result(0))
        status, _, body = get(sink, "/healthz")
        assert status == 200
        assert json.loads(body)["healthy"] is True
        monkeypatch.setattr("edgeseg.runtime.preview.pages._HEALTHY_S", 0.0)
        status, _, body = get(sink, "/healthz")
        assert status == 503
        assert json.loads(body)["healthy"] is False


def test_metrics_can_be_read_by_prometheus() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    with preview() as sink:
        for index in range(3):
            sink.write(result(index))
        ABOUT.events.tell(Event(kind="resized", text="camera 0: resized"))
        status, headers, body = get(sink, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples["edgeseg_frames_total",] == 3
    assert samples["edgeseg_dropped_frames_total",] == 4
    assert samples["edgeseg_skipped_frames_total",] == 6
    assert samples["edgeseg_events_total", "resized"] >= 1  # other tests share `ABOUT`
    assert samples["edgeseg_events_total", "segment"] == 0
    assert samples["edgeseg_reused_frames_total",] == 1
    assert samples["edgeseg_stage_seconds", "infer"] == pytest.approx(0.02)
    assert samples["edgeseg_class_ratio", "Road"] > 0
    assert samples["process_resident_memory_bytes",] > 1e6


def test_a_snapshot_is_the_newest_frame_at_its_full_size() -> None:
    with preview() as sink:
        assert get(sink, "/snapshot")[0] == 503
        sink.write(result(0, height=1080, width=1920))
        status, headers, body = get(sink, "/snapshot?opacity=0")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(body)) as image:
        assert image.size == (1920, 1080)
        shown = np.asarray(image)[:, :, ::-1].astype(int)
    assert abs(shown - result(0, height=1080, width=1920).captured.image).mean() < 4


def test_hidden_classes_show_the_frame_and_others_their_color() -> None:
    one = result(0)
    road = LABELS.classes.index("Road")
    look = Look(hidden=frozenset({road}), opacity=1.0)
    with Image.open(io.BytesIO(to_jpeg(one, Legend.of(LABELS), look, whole=True))) as image:
        shown = np.asarray(image)[:, :, ::-1].astype(int)
    colors = np.array(LABELS.palette)[one.mask][:, :, ::-1]
    expected = np.where((one.mask == road)[..., None], one.captured.image, colors)
    assert abs(shown - expected).mean() < 6
    assert abs(shown - colors).mean() > 12


def test_an_id_beyond_the_classes_is_black() -> None:
    """As in an overlay: a faulty engine's id must not end the page."""
    one = result(0)
    one = replace(one, segmentation=replace(one.segmentation, mask=np.full_like(one.mask, 250)))
    look = Look(opacity=1.0)
    with Image.open(io.BytesIO(to_jpeg(one, Legend.of(LABELS), look, whole=True))) as image:
        assert np.asarray(image).max() < 4


def test_a_wide_frame_is_streamed_smaller() -> None:
    big = to_jpeg(result(0, height=1080, width=1920), Legend.of(LABELS), Look())
    with Image.open(io.BytesIO(big)) as image:
        assert image.size == (960, 540)


@pytest.mark.parametrize(
    "query",
    [
        "hide=x",
        "hide=" + 5000 * "9",
        "hide=11",
        "hide=-1",
        "opacity=101",
        "opacity=a",
        "opacity=-3",
    ],
)
def test_a_look_that_is_none_is_refused(query: str) -> None:
    assert parse_look(dict([query.split("=")]), 11) is None
    with preview() as sink:
        sink.write(result(0))
        assert get(sink, f"/stream?{query}")[0] == 400
        assert get(sink, f"/snapshot?{query}")[0] == 400


def test_a_server_that_breaks_down_is_one_output_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_args: object, **_kwargs: object) -> None:
        raise OSError("no more sockets")

    monkeypatch.setattr("uvicorn.Server.serve", broken)
    with preview() as sink:
        sink._server._thread.join()
        with pytest.raises(SinkError, match="the preview broke down: no more sockets"):
            sink.write(result(0))


def test_a_real_browser_shows_it(tmp_path: Path) -> None:
    """Without a screen: the picture moves, the toggles act, and there are no complaints."""
    complaints: list[str] = []
    with ExitStack() as stack:
        sink = stack.enter_context(preview(TOKEN))
        stack.enter_context(running(sink))
        browser = stack.enter_context(open_browser())
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{sink.url}?token={TOKEN}")
        assert page.url == sink.url
        page.get_by_text("live", exact=True).wait_for()
        assert "street (int8) on engine 1.0, source demo" in page.text_content("#about")

        first = page.locator("#picture").screenshot()
        until(lambda: page.locator("#picture").screenshot() != first, "the picture moves")
        assert page.locator("#legend li").count() == len(
            np.unique([result(i).mask for i in range(20)])
        )
        assert "Frame age" in page.text_content("#figures")

        page.locator("#legend li", has_text="Road").locator("input").click()
        hidden = LABELS.classes.index("Road")
        until(lambda: f"hide={hidden}&" in page.get_attribute("#picture", "src"), "Road is hidden")
        page.locator("#opacity").fill("90")
        until(lambda: "opacity=90" in page.get_attribute("#picture", "src"), "the opacity is taken")
        page.get_by_role("button", name="None").click()
        everything = ",".join(map(str, range(len(LABELS.classes))))
        until(lambda: sorted_ids(page) == everything, "all are hidden")
        page.get_by_role("button", name="All").click()
        until(lambda: "hide=&" in page.get_attribute("#picture", "src"), "all are shown")
        with page.expect_download() as download:
            page.locator("#snapshot").click()
        download.value.save_as(tmp_path / "snapshot.jpg")
        with Image.open(tmp_path / "snapshot.jpg") as image:
            assert image.size == (640, 480)
        until(lambda: get_with_token(sink)["viewers"] == 1, "streams left behind are closed")

        phone = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True)
        phone.goto(f"{sink.url}?token={TOKEN}")
        phone.get_by_text("live", exact=True).wait_for()
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints == []


def sorted_ids(page: Any) -> str:
    source = page.get_attribute("#picture", "src")
    ids = source.partition("hide=")[2].partition("&")[0].split(",")
    with suppress(ValueError):
        return ",".join(sorted(ids, key=int))
    return ""


def get_with_token(sink: PreviewSink) -> dict[str, object]:
    loaded: dict[str, object] = json.loads(get(sink, "/stats", Authorization=f"Bearer {TOKEN}")[2])
    return loaded
