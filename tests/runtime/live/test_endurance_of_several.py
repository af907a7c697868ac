"""Whether four cameras in one process stay fair, and leave each other alone, for half an hour."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median

import pytest
from rtsp import RtspServer
from soak import MINUTES, ask, measure_process

from edgeseg.demo.assets import find_demo_bundle

NAMES = ("front", "left", "rear", "right")
AWAY_S = 6.0
# From capture to the end of output. A frame waits for three others, and the machine may be busy.
AGE_P99_MS = 3000


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the process is like, and how many frames of each camera it has given; memory in kB."""

    second: float
    away: str | None
    resident: int
    threads: int
    descriptors: int
    frames: dict[str, int]


@pytest.mark.long
def test_four_cameras_stay_fair(
    has_rtsp: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real RTSP servers of 640x480, each killed and started again once."""
    seconds, log = 60 * MINUTES, tmp_path / "stderr"
    with ExitStack() as stack:
        servers = {name: stack.enter_context(RtspServer("ball:640x480")) for name in NAMES}
        process = stack.enter_context(start_run(servers, seconds, log))
        stack.callback(process.kill)
        samples = list(watch(process, servers, log, seconds))
        summary = json.loads(process.communicate(timeout=120)[0])
    said = log.read_text()
    parts = summary["sources"]
    counts = {name: parts[name]["frames"] for name in NAMES}
    whole = [sample for sample in samples if sample.away is None and sample.second > 20]
    third = max(1, len(whole) // 3)
    figures = {
        "minutes": MINUTES,
        "frames": counts,
        "fair_to": max(abs(count / mean(counts.values()) - 1) for count in counts.values()),
        "dropped": {name: parts[name]["dropped"] for name in NAMES},
        "age_ms": {name: parts[name]["frame_age_ms"] for name in NAMES},
        "first_and_last_third": {
            name: [
                median(getattr(s, name) for s in part) for part in (whole[:third], whole[-third:])
            ]
            for name in ("resident", "threads", "descriptors")
        },
        "share_while_another_was_away": compare_shares(samples),
    }
    with capsys.disabled():
        print("\n" + json.dumps(figures))  # noqa: T201  # the record of the soak
        for sample in samples[:: max(1, len(samples) // 30)]:
            print(json.dumps(asdict(sample)))  # noqa: T201
    assert process.returncode == 0, said
    for server in servers.values():
        assert said.count(f"{server.url}: back after") == 1, said
    assert summary["failed"] == 0
    assert summary["lost"] is None
    assert figures["fair_to"] < 0.05
    assert all(part["frame_age_ms"]["p99"] < AGE_P99_MS for part in parts.values())
    assert min(figures["share_while_another_was_away"]) > 0.5
    before, after = figures["first_and_last_third"]["resident"]
    assert after < 1.05 * before
    for name in ("threads", "descriptors"):
        before, after = figures["first_and_last_third"][name]
        assert after == before, name


def start_run(servers: dict[str, RtspServer], seconds: float, log: Path) -> subprocess.Popen[str]:
    sources = log.with_name("sources.toml")
    lines = (f'{name} = "{server.url}"\n' for name, server in servers.items())
    sources.write_text("[sources]\n" + "".join(lines))
    command = [sys.executable, "-m", "edgeseg", "run", str(find_demo_bundle()), "--json"]
    limits = ["--seconds", str(seconds), "--preview", "0"]
    with log.open("w") as told:
        return subprocess.Popen(
            [*command, "--source", str(sources), *limits],
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        )


def watch(
    process: subprocess.Popen[str], servers: dict[str, RtspServer], log: Path, seconds: float
) -> Iterator[Sample]:
    """A sample every two seconds, each server away for a while, until the run is about to end."""
    url = find_preview(process, log)
    begun = time.monotonic()
    end = seconds - 15
    kills = [((index + 1) * end / (len(NAMES) + 1), name) for index, name in enumerate(NAMES)]
    away, back = None, 0.0
    while (second := time.monotonic() - begun) < end:
        if kills and second > kills[0][0]:
            away, back = kills.pop(0)[1], second + AWAY_S
            servers[away].kill()
        elif away is not None and second > back:
            servers[away].start()
            away = None
        assert process.poll() is None, log.read_text()
        yield Sample(
            second=round(second, 1),
            away=away,
            frames={one["name"]: one["frames"] for one in ask(f"{url}sources")},
            **measure_process(process.pid),
        )
        time.sleep(2)


def find_preview(process: subprocess.Popen[str], log: Path) -> str:
    end = time.monotonic() + 60
    while (found := re.search(r"preview: (\S+)", log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)
    return found[1]


def compare_shares(samples: list[Sample]) -> list[float]:
    """The rate of each camera while another was away, by its rate over the whole run."""
    first, last = samples[0], samples[-1]
    shares = []
    for gone in NAMES:
        during = [sample for sample in samples if sample.away == gone]
        begin, end = during[0], during[-1]
        for name in set(NAMES) - {gone}:
            rate = (end.frames[name] - begin.frames[name]) / (end.second - begin.second)
            usual = (last.frames[name] - first.frames[name]) / (last.second - first.second)
            shares.append(round(rate / usual, 2))
    return shares
