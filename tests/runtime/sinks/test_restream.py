"""The overlay is sent to a server, which FFmpeg and GStreamer play here."""

from __future__ import annotations

import dataclasses
import itertools
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from outputs import LEGEND, Opened, result
from restreams import Receiver, find_port
from rtsp import SYSTEM_PYTHON

from edgeseg.bundle.store import Bundle
from edgeseg.errors import SpecError
from edgeseg.redact import redact
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.outputs import Outputs

RECORDER = Path(__file__).parents[2] / "support" / "rtsp_recorder.py"
EVERY_S = 0.1  # the frames of `result` are so far apart
# A third of the step from one frame's color to the next. FFmpeg's fast conversion to 4:2:0 and back
# makes a flat color up to 4 levels darker.
CODED = 5


def _result(index: int, size: tuple[int, int] = (48, 64), *, by_device: bool = False) -> Result:
    """The result of a frame in one color, which tells its number after coding, too.

    A device gives its overlay as NV12.
    """
    one = result(index, size, np.zeros(size, np.uint8))
    color = np.array([30 * (index % 8), 30 * (index // 8), 120], np.uint8)
    image = np.broadcast_to(color, (*size, 3)).copy()
    one = dataclasses.replace(one, captured=dataclasses.replace(one.captured, image=image))
    if not by_device:
        return one
    drawn = av.VideoFrame.from_ndarray(Overlay(LEGEND).draw(image, one.mask), format="bgr24")
    nv12 = drawn.reformat(format="nv12").to_ndarray()
    return dataclasses.replace(one, segmentation=dataclasses.replace(one.segmentation, nv12=nv12))


def _send(
    url: str,
    frames: int,
    *,
    live: bool = True,
    size: tuple[int, int] = (48, 64),
    by_device: bool = False,
) -> Opened:
    opened = Opened(Outputs(restream=url), live=live)
    with opened as fan:
        for index in range(frames):
            fan.write(_result(index, size, by_device=by_device and index % 3 > 0))
            time.sleep(0.04 if index else 1.0)  # the sender's process starts first
    return opened


def _means(indices: range, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """The mean colors of the overlays."""
    overlay = Overlay(LEGEND)
    shown = (_result(index, size) for index in indices)
    return np.array([overlay.draw(one.captured.image, one.mask).mean(axis=(0, 1)) for one in shown])


def _assert_came(came: list[list[float]], sent: int) -> None:
    """The frames are those that were sent, at their times."""
    found = np.array(came)
    assert len(found) >= 5
    index = np.rint((found[:, 0] - found[0, 0]) / EVERY_S).astype(int)
    first = sent - 1 - index[-1]  # the server may miss the first frames
    assert 0 <= first <= sent - 5
    assert np.abs(found[:, 0] - found[0, 0] - EVERY_S * index).max() < 0.002
    assert np.abs(found[:, 1:4] - _means(range(sent))[first + index]).max() < CODED


def _assert_counted(opened: Opened, url: str, given: int) -> None:
    """The only line says how many frames were sent, of those that were given."""
    (line,) = opened.said
    told = re.fullmatch(rf"{re.escape(redact(url))}: (\d+) frames sent, (\d+) dropped", line)
    assert told is not None, line
    assert int(told[1]) >= 5
    assert int(told[1]) + int(told[2]) == given


def test_rtmp() -> None:
    url = f"rtmp://127.0.0.1:{find_port()}/live/street"
    receiver = Receiver(url, frames=20)
    opened = _send(url, 20)
    _assert_came(receiver.wait(), 20)
    _assert_counted(opened, url, 20)


def test_udp() -> None:
    url = f"udp://127.0.0.1:{find_port(socket.SOCK_DGRAM)}"
    receiver = Receiver(url, frames=12, listen=False)
    opened = _send(url, 40)
    came = receiver.wait()
    assert len(came) == 12
    _assert_counted(opened, url, 40)
    receiver.kill()


def test_overlays_that_a_device_made_for_encoders() -> None:
    """The host draws some between them, and the connection stays."""
    url = f"rtmp://127.0.0.1:{find_port()}/live/street"
    receiver = Receiver(url, frames=20)
    opened = _send(url, 20, by_device=True)
    _assert_came(receiver.wait(), 20)
    _assert_counted(opened, url, 20)


def test_an_odd_size_of_a_file() -> None:
    url = f"rtmp://127.0.0.1:{find_port()}/live/street"
    receiver = Receiver(url, frames=11)
    _send(url, 12, live=False, size=(47, 63))
    assert receiver.wait()[0][4:] == [48, 64]


def test_rtsp(has_rtsp, tmp_path: Path) -> None:
    """A server of GStreamer takes the stream, and writes it into a file."""
    command = [SYSTEM_PYTHON, str(RECORDER), str(tmp_path / "street.h264")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        opened = _send(url, 20)
        process.kill()
    _assert_counted(opened, url, 20)
    with av.open(str(tmp_path / "street.h264"), format="h264") as container:
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(images) >= 5
    found = np.array([image.mean(axis=(0, 1)) for image in images])
    sent = _means(range(20))
    nearest = np.abs(found[:, None] - sent[None]).max(axis=2)
    assert nearest.min(axis=1).max() < CODED
    # In their order, none twice; the server may miss the first frames.
    assert np.diff(nearest.argmin(axis=1)).min() > 0


def test_a_lost_server_is_found_again() -> None:
    url = f"rtmp://127.0.0.1:{find_port()}/live/key-s3cretS3cretS3cret"
    opened = Opened(Outputs(restream=url), live=True)
    shown = 0
    with opened as fan:

        def write_until(said: str) -> None:
            nonlocal shown
            until = time.monotonic() + 30
            while not any(said in line for line in opened.said):
                assert time.monotonic() < until, opened.said
                fan.write(result(shown))
                shown += 1
                time.sleep(0.05)

        write_until("takes no frame yet (Connection refused), attempt 1 in 0.5 s")
        receiver = Receiver(url, frames=1000)
        write_until("back after attempt")
        receiver.kill()
        write_until("frames (")
        receiver = Receiver(url, frames=5)
        opened.said.clear()
        write_until("back after attempt")
        for index in range(20):
            fan.write(result(shown + index))
            time.sleep(0.05)
    assert len(receiver.wait()) == 5
    assert fan.failed == 0
    assert not any("s3cret" in line for line in opened.said)
    assert all("rtmp://127.0.0.1" in line for line in opened.said)


def _list_attempts(url: str, monkeypatch: pytest.MonkeyPatch, *, most: int) -> list[int]:
    """Send to `url` until so many attempts were announced; list their numbers."""
    pauses = (0.05, 0.1, 0.15)
    monkeypatch.setattr("edgeseg.runtime.sinks.restream.BACK_OFF_S", pauses)
    opened = Opened(Outputs(restream=url), live=True)
    found: list[tuple[str, str]] = []
    until = time.monotonic() + 30
    with opened as fan:
        for index in itertools.count():
            fan.write(result(index))
            time.sleep(0.03)
            found = re.findall(r"attempt (\d+) in (\S+) s", " ".join(opened.said))
            if len(found) >= most:
                break
            assert time.monotonic() < until, opened.said
    assert all(float(pause) == pauses[min(int(number), 3) - 1] for number, pause in found)
    return [int(number) for number, _ in found]


def test_the_pauses_grow_while_no_frame_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"rtmp://127.0.0.1:{find_port()}/live/street"
    assert _list_attempts(url, monkeypatch, most=4) == [1, 2, 3, 4]


@pytest.mark.parametrize(("steady_s", "expected"), [(5.0, [1, 2, 3]), (0.0, [1, 1, 1])])
def test_the_pauses_begin_anew_after_frames_were_taken_for_some_time(
    monkeypatch: pytest.MonkeyPatch, steady_s: float, expected: list[int]
) -> None:
    """A server that takes some frames and hangs up, again and again."""
    monkeypatch.setattr("edgeseg.runtime.sinks.restream._STEADY_S", steady_s)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_hang_up, args=(server,), daemon=True).start()
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        assert _list_attempts(url, monkeypatch, most=3) == expected
        server.shutdown(socket.SHUT_RDWR)


def _hang_up(server: socket.socket) -> None:
    with suppress(OSError):  # the server is closed in the end
        while True:
            taken, _ = server.accept()
            with taken:
                begun = time.monotonic()
                while time.monotonic() - begun < 0.4 and taken.recv(1 << 16):
                    pass


def test_a_run_whose_server_never_took_a_frame_fails(edgeseg, seeded_bundle: Bundle) -> None:
    url = f"rtmp://127.0.0.1:{find_port()}/live/street"
    given = "--source", "demo", "--seconds", "3", "--restream", url, "--jsonl", "o.jsonl"
    outcome = edgeseg("run", seeded_bundle.folder, *given)
    assert outcome.status == 1
    count = len(Path("o.jsonl").read_text().splitlines())
    said = rf"edgeseg: {re.escape(redact(url))}: 0 frames sent, {count:,} dropped: "
    assert re.search(rf"^{said}Connection refused$", outcome.err, re.MULTILINE), outcome.err
    assert "lies beside" not in outcome.err


def test_a_server_that_does_not_answer_holds_up_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        _send(f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live/street", 4)
        assert time.monotonic() - begun < 6


@pytest.mark.parametrize("url", ["rstp://host/a", "street", "http://host/a", "rtsp://"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(SpecError, match="is no address that takes video"):
        Outputs(restream=url)


def test_the_command_line_refuses_them(edgeseg) -> None:
    outcome = edgeseg("run", "--source", "demo", "--restream", "http://me:s3cret@host/a")
    assert outcome.status == 2
    assert "--restream http://***@host/a is no address that takes video" in outcome.err


@pytest.fixture
def _no_srt() -> None:
    probe = "import av; av.open('srt://127.0.0.1:1?mode=listener&timeout=1', timeout=1)"
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    if "ProtocolNotFoundError" not in told.stderr:
        pytest.skip("this PyAV knows SRT")


@pytest.mark.usefixtures("_no_srt")
def test_what_ffmpeg_lacks_is_refused_before_the_run(edgeseg, seeded_bundle: Bundle) -> None:
    given = "--source", "demo", "--frames", "3", "--jsonl", "o.jsonl"
    outcome = edgeseg("run", seeded_bundle.folder, *given, "--restream", "SRT://host:9000")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "the FFmpeg of this PyAV is built without srt://; let a whole FFmpeg" in outcome.err
    assert not Path("o.jsonl").exists()


@pytest.mark.usefixtures("_no_srt")
def test_what_ffmpeg_lacks_ends_the_output_alone() -> None:
    """Where the run could not know it before."""
    opened = _send("srt://127.0.0.1:9000", 6)
    assert opened.given_up
    assert len(opened.said) == 1
    assert "srt://127.0.0.1:9000 cannot be sent to: Protocol not found" in opened.said[0]
