from __future__ import annotations

import http.client
import io
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeseg.demo import draw_scene
from edgeseg.errors import SinkError
from edgeseg.labels import get_known_labels
from edgeseg.runtime.about import About
from edgeseg.runtime.preview.address import Address, is_address, parse_address
from edgeseg.runtime.preview.motion import MAX_VIEWERS
from edgeseg.runtime.preview.picture import Look, parse_look, to_jpeg
from edgeseg.runtime.preview.sink import PreviewSink
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.sources import Captured

LABELS = get_known_labels("camvid")
ABOUT = About(
    bundle="street", engine="engine 1.0", precision="int8", source="demo",
    labels=LABELS, fps=10, live=True,
)  # fmt: skip
TOKEN = "correct horse"


def result(index: int, *, height: int = 120, width: int = 160) -> Result:
    drawn = draw_scene(1, index, height=height, width=width)
    part = Segmentation(mask=drawn.mask, prepare_ms=1, infer_ms=20, mask_ms=3)
    captured = Captured(
        index=index, name=f"{index:06d}", time_s=index / 10, at=time.perf_counter(),
        image=drawn.image,
    )  # fmt: skip
    return Result(captured=captured, segmentation=part, grab_ms=4, dropped=2 * index, failed=1)


@contextmanager
def preview(token: str | None = None, *, host: str = "127.0.0.1") -> Iterator[PreviewSink]:
    sink = PreviewSink(Address(host=host, port=0, token=token), ABOUT)
    try:
        yield sink
    finally:
        sink.finish()


def port_of(sink: PreviewSink) -> int:
    return int(sink.url.rstrip("/").rpartition(":")[2])


def get(sink: PreviewSink, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(sink), timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    try:
        return answer.status, answer.msg, answer.read()
    finally:
        connection.close()


class Viewer:
    """Reads a stream's pictures one by one."""

    def __init__(self, sink: PreviewSink, query: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port_of(sink), timeout=20)
        self.connection.request("GET", f"/stream{query}")
        self.answer = self.connection.getresponse()

    def picture(self) -> bytes:
        length = 0
        while (line := self.answer.readline()) != b"\r\n" or not length:
            if not line:
                raise EOFError
            name, _, value = line.partition(b": ")
            if name == b"Content-Length":
                length = int(value)
        return self.answer.read(length)

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


@contextmanager
def running(sink: PreviewSink, *, every_s: float = 0.02) -> Iterator[list[float]]:
    """A run that writes to the preview all the time; yields how long each write took."""
    stop = threading.Event()
    took: list[float] = []
    made = [result(index, height=480, width=640) for index in range(20)]

    def write() -> None:
        index = 0
        while not stop.wait(every_s):
            begun = time.perf_counter()
            one = made[index % 20]
            sink.write(replace(one, captured=replace(one.captured, at=begun - 0.03)))
            took.append(time.perf_counter() - begun)
            index += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()


def until(call: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not call():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def test_stats_tell_of_the_run() -> None:
    with preview() as sink:
        before = json.loads(get(sink, "/stats")[2])
        assert (before["frames"], before["newest_s"], before["shares"]) == (0, None, {})
        for index in range(5):
            sink.write(result(index))
        stats = json.loads(get(sink, "/stats")[2])
    assert (stats["frames"], stats["dropped"], stats["failed"]) == (5, 8, 1)
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
    with Image.open(io.BytesIO(to_jpeg(one, LABELS, look, whole=True))) as image:
        shown = np.asarray(image)[:, :, ::-1].astype(int)
    colors = np.array(LABELS.palette)[one.mask][:, :, ::-1]
    expected = np.where((one.mask == road)[..., None], one.captured.image, colors)
    assert abs(shown - expected).mean() < 6
    assert abs(shown - colors).mean() > 12


def test_a_wide_frame_is_streamed_smaller() -> None:
    big = to_jpeg(result(0, height=1080, width=1920), LABELS, Look())
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


def test_the_stream_moves() -> None:
    with preview() as sink, running(sink):
        viewer = Viewer(sink)
        pictures: set[bytes] = set()
        while len(pictures) < 5:  # a slow machine drops some, and a scene may come round again
            pictures.add(viewer.picture())
        viewer.close()
    assert viewer.answer.status == 200


def test_eight_may_watch_and_the_ninth_is_told_so() -> None:
    with preview() as sink, running(sink), ExitStack() as stack:
        viewers = [Viewer(sink, f"?opacity={index}") for index in range(MAX_VIEWERS)]
        for viewer in viewers:
            stack.callback(viewer.close)
            assert viewer.picture().startswith(b"\xff\xd8")
        status, headers, body = get(sink, "/stream")
        assert (status, headers["Retry-After"]) == (503, "10")
        assert b"8 viewers are watching already" in body
        assert get(sink, "/stats")[0] == 200  # the page itself is still answered
        viewers[0].close()
        until(lambda: get_viewers(sink) == MAX_VIEWERS - 1, "the place of one who left is free")
        ninth = Viewer(sink)
        stack.callback(ninth.close)
        assert ninth.picture()


def get_viewers(sink: PreviewSink) -> int:
    return int(json.loads(get(sink, "/stats")[2])["viewers"])


def test_a_viewer_who_reads_nothing_slows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the run nor another viewer; and is let go in the end."""
    monkeypatch.setattr("edgeseg.runtime.preview.motion.STUCK_S", 5.0)
    monkeypatch.setattr("edgeseg.runtime.preview.server.STUCK_S", 5.0)
    with preview() as sink:
        stuck = socket.create_connection(("127.0.0.1", port_of(sink)))
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with stuck, running(sink, every_s=0.01) as took:
            stuck.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: get_viewers(sink) == 1, "it watches")
            held = descriptors()
            viewer = Viewer(sink)
            first = len(took)
            for _ in range(10):
                viewer.picture()
            assert len(took) > first  # the run went on meanwhile
            viewer.close()
            until(lambda: get_viewers(sink) == 0, "it is let go")
            # The server's end is closed though it holds data that nobody takes; ours is open still.
            until(lambda: descriptors() < held, "its connection is closed")
        # A write is a few assignments and a wake-up: were it to wait for a viewer, it were seconds.
        assert float(np.median(took)) < 0.1


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_stopping_with_a_stuck_viewer_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with preview() as sink, socket.create_connection(("127.0.0.1", port_of(sink))) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with running(sink, every_s=0.005):
            until(lambda: get_viewers(sink) == 1, "it watches")
            time.sleep(1)
        sink.finish()
    assert capfd.readouterr() == ("", "")


def test_a_place_is_free_at_once_though_no_frame_comes() -> None:
    with preview() as sink:
        sink.write(result(0))
        for index in range(3 * MAX_VIEWERS):  # as a slider that is dragged
            viewer = Viewer(sink, f"?opacity={index}")
            assert viewer.answer.status == 200
            viewer.picture()
            viewer.close()
            until(lambda: get_viewers(sink) == 0, "the place is free")


def test_asking_for_the_head_of_a_stream_takes_no_place() -> None:
    with preview() as sink:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(sink), timeout=20)
        connection.request("HEAD", "/stream")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        connection.close()
        assert get_viewers(sink) == 0


def test_connections_that_ask_for_nothing_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.runtime.preview.protocol._SILENCE_S", 0.5)
    monkeypatch.setattr("edgeseg.runtime.preview.protocol._MAX_CONNECTIONS", 4)
    with preview() as sink, ExitStack() as stack:
        where = ("127.0.0.1", port_of(sink))
        silent = [stack.enter_context(socket.create_connection(where)) for _ in range(6)]
        for connection in silent:
            connection.settimeout(20)
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        assert get(sink, "/stats")[0] == 200


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


def test_stopping_lets_viewers_go() -> None:
    with preview() as sink:
        sink.write(result(0))
        viewer = Viewer(sink)
        viewer.picture()
        threads = {thread.name for thread in threading.enumerate()}
        assert "edgeseg preview" in threads
        sink.finish()
        assert viewer.answer.read() == b"\r\n"  # of the picture; then the end
        viewer.close()
    assert not any("edgeseg preview" in thread.name for thread in threading.enumerate())


PATHS = ("/", "/page.js", "/page.css", "/info", "/stats", "/stream", "/snapshot", "/healthz",
         "/metrics", "/nothing")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_path_asks_for_the_token(path: str) -> None:
    with preview(TOKEN) as sink:
        sink.write(result(0))
        for given in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Cookie": f"edgeseg_preview_{port_of(sink)}=wrong"},
        ):
            status, _, body = get(sink, path, **given)
            assert status == 401
            assert TOKEN.encode() not in body
        assert get(sink, f"{path}?token=wrong")[0] == 401
        if path != "/stream":
            allowed = get(sink, path, Authorization=f"Bearer {TOKEN}")[0]
            assert allowed == (404 if path == "/nothing" else 200)


def test_cookies_of_others_do_not_matter() -> None:
    """A browser sends a host's cookies to all its ports."""
    with preview(TOKEN) as sink:
        own = f"edgeseg_preview_{port_of(sink)}=correct horse"
        for others in ("a/b=1", 'x={"a":1}', "edgeseg_preview_1=wrong", "=;;"):
            assert get(sink, "/stats", Cookie=f"{others}; {own}")[0] == 200
            assert get(sink, "/stats", Cookie=others)[0] == 401


def test_a_page_opened_with_the_token_gets_a_cookie_and_a_clean_address() -> None:
    with preview(TOKEN) as sink:
        status, headers, _ = get(sink, "/?token=correct%20horse")
        assert (status, headers["Location"]) == (303, "/")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert get(sink, "/stats", Cookie=cookie.partition(";")[0])[0] == 200
        assert get(sink, "/stats?token=correct%20horse")[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "192.168.0.7", "", "[::1", "localhost.evil"]
)
def test_without_a_token_only_this_machines_names_are_answered(host: str) -> None:
    with preview() as sink:
        assert get(sink, "/stats", Host=host)[0] == 403
        assert get(sink, "/stats", Host="localhost:9")[0] == 200
        assert get(sink, "/stats", Host="[::1]:9")[0] == 200
        assert get(sink, "/stats", Host="127.0.0.2:9")[0] == 200


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8000", "127.0.0.1", 8000),
        ("localhost:1", "localhost", 1),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:80", "::1", 80),
        (":8009", "127.0.0.1", 8009),
    ],
)
def test_an_address(text: str, host: str, port: int) -> None:
    assert parse_address(text, None) == Address(host=host, port=port)


@pytest.mark.parametrize("text", ["", "street", "host:", ":", "a b:1", "h:65536", "http://h:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SinkError, match="HOST:PORT"):
        parse_address(text, TOKEN)
    assert is_address(text) == (text == "h:65536")


@pytest.mark.parametrize("text", ["0.0.0.0:80", "[::]:80", "robot:80", "192.168.0.7:80"])
def test_what_others_reach_needs_a_token(text: str) -> None:
    with pytest.raises(SinkError, match="protect it with --preview-token"):
        parse_address(text, None)
    with pytest.raises(SinkError, match="an empty --preview-token"):
        parse_address(text, "")
    with pytest.raises(SinkError, match="plain letters"):
        parse_address(text, "\u20acuro")
    assert parse_address(text, TOKEN).token == TOKEN


def test_a_port_in_use_is_one_clear_line() -> None:
    with (
        preview() as sink,
        pytest.raises(SinkError, match=r"127\.0\.0\.1:\d+: Address already in use; choose another"),
    ):
        PreviewSink(Address(host="127.0.0.1", port=port_of(sink)), ABOUT)


def test_a_host_that_is_not_here() -> None:
    with pytest.raises(SinkError, match="no preview at"):
        PreviewSink(Address(host="203.0.113.1", port=1, token=TOKEN), ABOUT)


def test_a_real_browser_shows_it(tmp_path: Path) -> None:
    """Without a screen: the picture moves, the toggles act, and there are no complaints."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is absent; run: tools/install-system-packages.sh")
    api = pytest.importorskip("playwright.sync_api")
    complaints: list[str] = []
    with ExitStack() as stack:
        sink = stack.enter_context(preview(TOKEN))
        stack.enter_context(running(sink))
        driver = stack.enter_context(api.sync_playwright())
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        stack.callback(browser.close)
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


# Debian's build without a screen, a sandbox of its own, or calls home.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def sorted_ids(page: Any) -> str:
    source = page.get_attribute("#picture", "src")
    ids = source.partition("hide=")[2].partition("&")[0].split(",")
    with suppress(ValueError):
        return ",".join(sorted(ids, key=int))
    return ""


def get_with_token(sink: PreviewSink) -> dict[str, object]:
    loaded: dict[str, object] = json.loads(get(sink, "/stats", Authorization=f"Bearer {TOKEN}")[2])
    return loaded
