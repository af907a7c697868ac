"""A camera that changes while it is recorded: the run, and every output of it, goes on."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rtsp import RtspServer

import edgeseg as library
from edgeseg.bundle.store import Bundle

FRAMES = 60


class Run:
    """A run in a thread of its own, with every output."""

    def __init__(self, bundle: Path, source: str, folder: Path) -> None:
        self.said: list[str] = []
        self.folder = folder
        self._thread = threading.Thread(target=self._work, args=(bundle, source))
        self._thread.start()

    def _work(self, bundle: Path, source: str) -> None:
        out = self.folder
        self.result = library.run(
            bundle, source=source, frames=FRAMES, show=False, say=self.said.append,
            save=out / "x.mp4", masks=out / "masks", jsonl=out / "x.jsonl", preview="127.0.0.1:0",
        )  # fmt: skip

    def lines(self) -> int:
        partial = self.folder / "x.partial.jsonl"
        return partial.read_text().count("\n") if partial.exists() else 0

    def has_said(self, words: str) -> bool:
        return any(words in line for line in self.said)

    def events(self) -> dict[str, float]:
        """What `/metrics` counts."""
        url = next(line for line in self.said if line.startswith("preview: "))[9:]
        with urllib.request.urlopen(f"{url}metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return {
                sample.labels["event"]: sample.value
                for family in families
                for sample in family.samples
                if sample.name == "edgeseg_events_total"
            }

    def wait(self) -> None:
        self._thread.join(timeout=120)
        assert not self._thread.is_alive()


def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


def read(video: Path) -> list[av.VideoFrame]:
    with av.open(str(video)) as container:
        return list(container.decode(video=0))


def test_a_night_mode(has_rtsp: None, seeded_bundle: Bundle, tmp_path: Path) -> None:
    """A real RTSP server that comes back with smaller frames."""
    with RtspServer("ball:320x240") as server:
        run = Run(seeded_bundle.folder, server.url, tmp_path)
        until(lambda: run.lines() >= 5, "frames by day")
        server.kill()
        server.start("ball:160x120")
        until(lambda: run.has_said("goes on as x.002.mp4"), "a segment")
        until(lambda: run.events().get("segment"), "a count of it")
        counted = run.events()
        run.wait()
    changes = {"lost": 1, "back": 1, "resized": 1, "segment": 1}
    tried = run.result.events.get("retry", 0)  # the server may take longer than half a second
    assert {kind: count for kind, count in counted.items() if count and kind != "retry"} == changes
    assert {**run.result.events} == {**changes, **({"retry": tried} if tried else {})}
    stamped = [line for line in run.said if re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line)]
    assert len(stamped) == sum(run.result.events.values())
    check_outputs(run)


def check_outputs(run: Run) -> None:
    """Each frame is in all outputs, at its time, with its size."""
    written = [path.name for path in run.result.written]
    assert written == ["x.mp4", "x.002.mp4", "masks", "x.jsonl"]
    told = [json.loads(line) for line in (run.folder / "x.jsonl").read_text().splitlines()]
    assert len(told) == run.result.summary.frames == FRAMES
    times = [line["time_s"] for line in told]
    day, night = read(run.folder / "x.mp4"), read(run.folder / "x.002.mp4")
    assert len(day) + len(night) == FRAMES
    assert {(frame.height, frame.width) for frame in day} == {(240, 320)}
    assert {(frame.height, frame.width) for frame in night} == {(120, 160)}
    shown = [times[0] + frame.time for frame in day]
    shown += [times[len(day)] + frame.time for frame in night]
    np.testing.assert_allclose(shown, times, atol=1e-4)
    for index, line in enumerate(told):
        mask = cv2.imread(str(run.folder / "masks" / f"{line['name']}.png"))
        assert mask.shape[:2] == ((240, 320) if index < len(day) else (120, 160))


def test_the_command_line_tells_what_changed(edgeseg, seeded_bundle: Bundle) -> None:
    """Once where it happens, once in the summary, and in the JSON; where nothing did, nowhere."""
    quiet = edgeseg("run", seeded_bundle.folder, "--source", "demo", "--frames", 2, "--json")
    assert "events" not in quiet.json
    assert "changes midway" not in quiet.err
    join("a.ts", "b.ts")
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "joined.ts", "--json")
    assert outcome.status == 0
    assert outcome.json["events"] == {"clock": 1}
    assert outcome.err.count("joined.ts: its time stamps fall from ") == 1
    assert "\nchanges midway: clock 1\n" in outcome.err


def join(*names: str) -> None:
    """Recordings whose clocks all begin at zero, joined."""
    from clips import write_clip

    parts = [write_clip(Path(name), [0.0, 1.0, 2.0, 3.0], options={"bf": "0"}) for name in names]
    Path("joined.ts").write_bytes(b"".join(part.read_bytes() for part in parts))


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
