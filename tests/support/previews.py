"""Requests and viewers of a preview."""

from __future__ import annotations

import http.client
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from edgeseg.demo import draw_scene
from edgeseg.labels import get_known_labels
from edgeseg.runtime.about import About
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.preview.address import Address
from edgeseg.runtime.preview.sink import PreviewSink, open_previews
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.sources import Captured

LABELS = get_known_labels("camvid")


ABOUT = About(
    bundle="street", engine="engine 1.0", precision="int8", source="demo",
    legend=Legend.of(LABELS), fps=10, live=True,
)  # fmt: skip


TOKEN = "correct horse"

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


def result(index: int, *, height: int = 120, width: int = 160) -> Result:
    drawn = draw_scene(1, index, height=height, width=width)
    part = Segmentation(mask=drawn.mask, prepare_ms=1, infer_ms=20, mask_ms=3)
    captured = Captured(
        index=index, name=f"{index:06d}", time_s=index / 10, at=time.perf_counter(),
        image=drawn.image,
    )  # fmt: skip
    return Result(
        captured=captured, segmentation=part, grab_ms=4, dropped=2 * index, skipped=3 * index,
        failed=1, reused=index % 2 == 1,
    )  # fmt: skip


@contextmanager
def open_browser() -> Iterator[Any]:
    """Open a real browser of Playwright's; the test skips where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is absent; run: tools/install-system-packages.sh")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def preview(token: str | None = None, *, host: str = "127.0.0.1") -> Iterator[PreviewSink]:
    (sink,) = open_previews(Address(host=host, port=0, token=token), [ABOUT])
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
