"""Each kind of source gives what was sent: the frames, in order, at their times, and again."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import clock
import numpy as np
import pytest
import sender
from bags import TOPIC, send, write_bag
from clips import UNEVEN, write_clip
from restreams import find_port
from rtsp import RtspServer
from sender import Sender, listening

from edgeseg.machine.ffmpeg import opens_scheme
from edgeseg.runtime.events import Event
from edgeseg.runtime.sources import Captured, open_source
from edgeseg.runtime.sources.live import device as live
from edgeseg.runtime.sources.live import stream
from edgeseg.runtime.sources.options import Retry

# So many frames must come at the sender's rate: those that waited while the stream was opened, and
# those that a format holds back, come in a burst.
STEADY = 12
UNSTEADY_S = 0.1
# The first frame waits while FFmpeg probes the stream; RTMP's would wait 5 s if we let it.
OLDEST_MS = 4000
MOST = 400


class Camera(Protocol):
    """What can be killed, and started again at its address."""

    def start(self) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Watched:
    """All frames; those that came at the sender's rate before the kill, and after; events."""

    frames: list[Captured]
    steady: list[list[Captured]]
    killed_ms: int
    told: list[str]


# What opens one: a log of the numbers sent, and what is to be ended with the test.
Opener = Callable[[Path, ExitStack], tuple[str, Camera]]


def serve(form: str, scheme: str, path: str = "", *, codec: str = "libx264", **told: str) -> Opener:
    """FFmpeg waits for a viewer."""

    def opens(log: Path, stack: ExitStack) -> tuple[str, Camera]:
        url = f"{scheme}://127.0.0.1:{find_port()}{path}"
        target = listening(form, url, **told)
        return url, stack.enter_context(Sender(target, form="tee", codec=codec, log=log))

    return opens


def send_to(scheme: str, query: str) -> Opener:
    """MPEG-TS in datagrams."""

    def opens(log: Path, stack: ExitStack) -> tuple[str, Camera]:
        url = f"{scheme}://127.0.0.1:{find_port(socket.SOCK_DGRAM)}"
        made = Sender(f"{url}?{query}", form="mpegts", codec="libx264", log=log)
        return url, stack.enter_context(made)

    return opens


def rtsp(log: Path, stack: ExitStack) -> tuple[str, Camera]:
    server = stack.enter_context(RtspServer(f"clock:{log}"))
    return server.url, server


def stdin(form: str, codec: str) -> Opener:
    """A pipe whose writing end this process holds, too: it outlives the sender."""

    def opens(log: Path, stack: ExitStack) -> tuple[str, Camera]:
        writes = stack.enter_context(standard_input())
        return "-", stack.enter_context(Sender("-", form=form, codec=codec, log=log, into=writes))

    return opens


@contextmanager
def standard_input() -> Iterator[int]:
    """Standard input is a pipe while the block runs; yields its writing end."""
    before, (reads, writes) = os.dup(0), os.pipe()
    os.dup2(reads, 0)
    os.close(reads)
    try:
        yield writes
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(writes)


MULTIPART = {"codec": "mjpeg", "content_type": r"multipart/x-mixed-replace\\;boundary=ffmpeg"}
KINDS = {
    "rtsp": rtsp,
    "rtmp": serve("flv", "rtmp", "/live/street"),
    "srt": send_to("srt", "mode=listener"),
    "udp": send_to("udp", "pkt_size=1316"),
    "tcp": serve("mpegts", "tcp"),
    "http": serve("mpegts", "http", "/live"),
    "http of JPEGs": serve("mpjpeg", "http", "/live", **MULTIPART),
    "stdin of JPEGs": stdin("mjpeg", "mjpeg"),
    "stdin of a video": stdin("mpegts", "libx264"),
}


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BACK_OFF_S", (0.1,))


# FFmpeg probes an RTMP stream for seconds each time that it is opened.
SLOW = {"rtmp"}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.long] * (kind in SLOW)) for kind in KINDS]
)
def test_a_live_source_that_is_killed_and_started_again(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    if kind == "rtsp":
        request.getfixturevalue("has_rtsp")
    if kind == "srt" and not opens_scheme("av", "srt"):
        pytest.skip("the FFmpeg in PyAV is built without srt://")
    if kind == "udp":  # the end of a sender is told by silence alone
        monkeypatch.setattr(stream, "PATIENCE_S", 2.0)
    log = tmp_path / "numbers"
    with ExitStack() as stack:
        url, camera = KINDS[kind](log, stack)
        watched = watch(url, camera)
    frames = watched.frames
    sent = [int(line) for line in log.read_text().split()]
    numbers = [clock.read(frame.image) for frame in frames]
    check_pictures(frames, tolerance=20)
    assert 1e3 * frames[0].at - numbers[0] < OLDEST_MS
    assert all(before < after for before, after in pairwise(numbers))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    for part in (
        [number for number in numbers if number <= watched.killed_ms],
        [number for number in numbers if number > watched.killed_ms],
    ):
        check_numbers(part, sent, lossy=kind in {"udp", "srt"})
    for part_at_rate in watched.steady:
        check_times(part_at_rate)
    assert [event for event in watched.told if event != "retry"] == (
        [] if kind.startswith("stdin") else ["lost", "back"]
    )


def watch(url: str, camera: Camera) -> Watched:
    """Watch a camera that is killed once frames come steadily, until they do so again."""
    told: list[str] = []
    killed_ms: list[int] = []

    def hear(event: Event) -> None:
        told.append(event.kind)
        if event.kind == "lost" and killed_ms:
            camera.start()

    frames: list[Captured] = []
    steady: list[list[Captured]] = []
    with open_source(url, retry=Retry(attempts=100, tell=hear)) as source:
        assert source.live
        told.clear()
        for captured in source.frames:
            frames.append(captured)
            assert len(frames) < MOST, told
            if not comes_steadily(frames, *killed_ms):
                continue
            steady.append(frames[-STEADY:])
            if killed_ms:
                break
            time.sleep(0.3 / sender.RATE)  # what was sent has gone out: no frame is cut
            camera.kill()
            killed_ms.append(clock.now_ms())
            if url == "-":
                camera.start()
    return Watched(frames=frames, steady=steady, killed_ms=killed_ms[0], told=told)


def comes_steadily(frames: Sequence[Captured], since_ms: int = 0) -> bool:
    last = frames[-STEADY:]
    ages_s = [frame.at - clock.read(frame.image) / 1e3 for frame in last]
    new = clock.read(last[0].image) > since_ms
    return new and len(last) == STEADY and max(ages_s) - min(ages_s) < UNSTEADY_S


def check_numbers(numbers: list[int], sent: list[int], *, lossy: bool) -> None:
    """What one sender sent, from the first frame that came to the last."""
    wanted = sent[sent.index(numbers[0]) : sent.index(numbers[-1]) + 1]
    if lossy:
        assert set(numbers) <= set(wanted)
        assert len(numbers) > 0.8 * len(wanted)
    else:
        assert numbers == wanted


def check_times(frames: Sequence[Captured]) -> None:
    """A picture's number is the clock of `at`, in milliseconds."""
    numbers = [clock.read(frame.image) for frame in frames]
    assert all(1e3 * frame.at >= number for frame, number in zip(frames, numbers, strict=True))
    for (before, after), (sent, then) in zip(pairwise(frames), pairwise(numbers), strict=True):
        gap_s = after.time_s - before.time_s
        assert after.at - before.at == pytest.approx(gap_s, abs=1e-6)
        assert gap_s == pytest.approx((then - sent) / 1e3, abs=2 * UNSTEADY_S)
        assert after.wall_s is not None
        assert before.wall_s is not None
        assert after.wall_s - before.wall_s == pytest.approx(gap_s, abs=UNSTEADY_S)


def check_pictures(frames: Sequence[Captured], *, tolerance: int) -> None:
    for frame in frames:
        wanted = clock.picture(clock.read(frame.image))
        assert np.abs(frame.image.astype(int) - wanted).max() <= tolerance, frame.index


NUMBERS = [1000 * index + 7 for index in range(len(UNEVEN))]
PICTURES = [clock.picture(number) for number in NUMBERS]
EPOCH = 1_700_000_000.0


def clip(ending: str) -> Callable[[Path], str]:
    return lambda folder: str(write_clip(folder / f"clip.{ending}", UNEVEN, images=PICTURES))


def bag(kind: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        sent = [
            send(image, stamp_s=EPOCH + at, logged_s=EPOCH + at + 0.01)
            for image, at in zip(PICTURES, UNEVEN, strict=True)
        ]
        return f"{write_bag(folder, kind, sent)}:{TOPIC}"

    return write


@pytest.mark.parametrize(
    ("write", "exact"),
    [(clip("mp4"), False), (clip("mkv"), False), (bag("bag"), True), (bag("mcap"), True)],
    ids=["mp4", "mkv", "bag", "mcap"],
)
def test_a_recording_that_is_left_and_opened_again(
    tmp_path: Path, write: Callable[[Path], str], *, exact: bool
) -> None:
    uri = write(tmp_path)
    with open_source(uri) as source:
        left = [next(source.frames) for _ in range(3)]
    with open_source(uri) as source:
        assert not source.live
        frames = list(source.frames)
    check_pictures(left + frames, tolerance=0 if exact else 20)
    for got, count in ((left, 3), (frames, len(NUMBERS))):
        assert [clock.read(frame.image) for frame in got] == NUMBERS[:count]
        assert [frame.time_s for frame in got] == pytest.approx(UNEVEN[:count], abs=1e-3)
