"""How old the newest frame really is, and whether a run stays as it is for half an hour."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import clock
import cv2
import pytest
from rtsp import RtspServer
from soak import MINUTES, ask, measure_process

from edgeseg.bundle.store import Bundle
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.runtime.live.run import run
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import open_source


class ClockReader:
    """A sink that reads each frame's age from its picture, and notes the age that is reported."""

    def __init__(self) -> None:
        self.true_ms: list[int] = []
        self.reported_ms: list[float] = []

    def write(self, result: Result, /) -> None:
        self.true_ms.append(clock.now_ms() - clock.read(result.captured.image))
        self.reported_ms.append(1e3 * (time.perf_counter() - result.captured.at))

    def finish(self) -> None:
        pass

    def discard(self) -> None:
        pass


def test_the_true_age_of_a_frame(
    has_rtsp: None, seeded_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    """A camera's clock is drawn, coded, sent, received, decoded, segmented, and read again.

    What is reported begins where OpenCV hands the frame over; network and codec come before.
    """
    reader = ClockReader()
    with (
        RtspServer("clock") as server,
        Segmenter(seeded_bundle) as segmenter,
        open_source(server.url) as source,
    ):
        run(segmenter, source, [reader], max_frames=100)
    true_ms, reported_ms = reader.true_ms[20:], reader.reported_ms[20:]
    with capsys.disabled():
        print(  # noqa: T201  # the issue asks for both, side by side
            f"\nframe age over RTSP, median of {len(true_ms)}: read from the picture "
            f"{median(true_ms)} ms, reported {median(reported_ms):.1f} ms"
        )
    assert all(true > reported for true, reported in zip(true_ms, reported_ms, strict=True))
    # A stream that is not kept up with grows older by its queue: here it does not grow.
    assert median(true_ms[-20:]) < 2 * median(true_ms[:20]) + 100


RESTARTS = 5
FRAMES = 250


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a process is like; memory in kB."""

    second: float
    resident: int
    threads: int
    descriptors: int
    age_p50_ms: float
    fps: float


@pytest.mark.long
def test_a_run_stays_as_it_is(
    has_rtsp: None, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At full speed on a real clip over a real RTSP server that is killed and started again."""
    clip = unpacked(shared / "video" / "car-detection.mp4", tmp_path / "frames")
    seconds = 60 * MINUTES
    with RtspServer(clip) as server, (tmp_path / "stderr").open("w") as log:
        command = [sys.executable, "-m", "edgeseg", "run", str(find_demo_bundle()), "--json"]
        outputs = ["--preview", "0", "--jsonl", str(tmp_path / "lines")]
        with subprocess.Popen(
            [*command, "--source", server.url, "--seconds", str(seconds), *outputs],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process:
            samples = list(sampled(process, server, tmp_path / "stderr", seconds))
            summary = json.loads(process.communicate(timeout=120)[0])
    said = (tmp_path / "stderr").read_text()
    steady = [sample for sample in samples if sample.second > 60]
    first, last = steady[:12], steady[-12:]
    figures = {
        name: [median(getattr(sample, name) for sample in part) for part in (first, last)]
        for name in ("resident", "threads", "descriptors", "age_p50_ms", "fps")
    }
    with capsys.disabled():
        print("\n" + json.dumps({"minutes": MINUTES, "first_and_last_minute": figures}))  # noqa: T201
        print(json.dumps({"summary": summary, "came_back": said.count("back after")}))  # noqa: T201
        for sample in samples[:: max(1, len(samples) // 30)]:
            print(json.dumps(asdict(sample)))  # noqa: T201  # the record of the soak
    assert process.returncode == 0
    assert said.count("back after") == RESTARTS
    assert summary["failed"] == 0
    assert summary["dropped"] > 0  # at full speed: the camera is faster than the engine
    before, after = figures["resident"]
    assert after < 1.05 * before
    assert figures["threads"][0] == figures["threads"][1]
    assert figures["descriptors"][0] == figures["descriptors"][1]
    assert figures["age_p50_ms"][1] < 1.5 * figures["age_p50_ms"][0]
    lines = (tmp_path / "lines").read_text().splitlines()
    indices = [json.loads(line)["index"] for line in lines]
    assert all(before < after for before, after in pairwise(indices))


def unpacked(clip: Path, folder: Path) -> Path:
    """The clip's first frames as numbered JPEGs, which the server plays over and over."""
    folder.mkdir()
    capture = cv2.VideoCapture(str(clip))
    for index in range(FRAMES):
        image = capture.read()[1]
        cv2.imwrite(str(folder / f"{index:05d}.jpg"), cv2.resize(image, (640, 360)))
    capture.release()
    return folder


def sampled(
    process: subprocess.Popen[str], server: RtspServer, log: Path, seconds: float
) -> Iterator[Sample]:
    """A sample every five seconds, the server killed in between, until the run is about to end."""
    begun = time.monotonic()
    kills = [(index + 1) * seconds / (RESTARTS + 1) for index in range(RESTARTS)]
    url = None
    while (second := time.monotonic() - begun) < seconds - 10:
        if kills and second > kills[0]:
            kills.pop(0)
            server.kill()
            time.sleep(3)
            server.start()
        time.sleep(5)
        assert process.poll() is None, log.read_text()
        if url is None:
            found = re.search(r"preview: (\S+)", log.read_text())
            url = found and found[1]
        if url is not None:
            yield sample(process.pid, url, second)


def sample(pid: int, url: str, second: float) -> Sample:
    stats = ask(f"{url}stats")
    return Sample(
        second=round(second),
        **measure_process(pid),
        age_p50_ms=round(stats["age_p50_ms"] or 0, 1),  # none while the source is lost
        fps=round(stats["fps"], 1),
    )
