"""Runs with secrets in their addresses: nothing that a command writes, serves or tells holds them.

Descriptor 2 is read, and not Python's stream: OpenCV, FFmpeg and GStreamer write there themselves.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen

import pytest
import web

from edgeseg.bundle.store import Bundle
from edgeseg.errors import EdgesegError
from edgeseg.verification import cluster
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.verify import verify

SECRET = "zq7#xj/vk@w"
PARTS = ("zq7", "xj/vk", "xj%2Fvk", "vk@w", "vk%40w")
# What people set to see why a camera does not open.
LOUD = {
    "OPENCV_LOG_LEVEL": "DEBUG",
    "OPENCV_VIDEOIO_DEBUG": "1",
    "OPENCV_FFMPEG_DEBUG": "1",
    "OPENCV_FFMPEG_LOGLEVEL": "56",
    "GST_DEBUG": "6",
}


def shows_nothing(text: str) -> None:
    assert not [part for part in PARTS if part in text], text


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edgeseg", *map(str, arguments)]


@pytest.mark.parametrize(
    "source",
    [
        ("--source", f"rtsp://admin:{SECRET}@127.0.0.1:9/x"),
        ("--source", f"rtsp://127.0.0.1:9/user=admin&password={SECRET}&channel=1"),
        ("--source", f"http://127.0.0.1:9/drive.mp4?token={SECRET}"),
        ("--source", f"rtmp://admin:{SECRET}@127.0.0.1:9/x"),
        ("--source", f"admin:{SECRET}@127.0.0.1:9/x"),
        ("--gstreamer", f"rtspsrc location=rtsp://a:{SECRET}@h/x user-pw={SECRET} ! appsink"),
        (f"rtsp://admin:{SECRET}@127.0.0.1:9/x",),
    ],
    ids=["user", "path", "query", "unknown", "bare", "pipeline", "misplaced"],
)
def test_an_address_where_nobody_answers(
    seeded_bundle: Bundle, tmp_path: Path, source: tuple[str, ...]
) -> None:
    bundle = [] if len(source) == 1 else [seeded_bundle.folder]
    ended = subprocess.run(
        command("run", *bundle, *source),
        cwd=tmp_path,
        env={**os.environ, **LOUD},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in {1, 2}
    assert ended.stderr.splitlines()[-1].startswith("edgeseg: ")
    shows_nothing(ended.stdout + ended.stderr)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd hears, at `tmp_path`/notify."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        yield channel


def test_a_camera_that_is_watched(
    seeded_bundle: Bundle, tmp_path: Path, manager: socket.socket
) -> None:
    seen: list[str] = []
    jpegs = web.jpegs(2000, pause_s=0.02)

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.path)
        jpegs(request)

    with web.served(answer) as port:
        path = f"user=admin&password={SECRET}&channel=1"
        camera = f"http://admin:{SECRET}@127.0.0.1:{port}/{path}"
        outputs = ["--preview", "127.0.0.1:0", "--jsonl", "o.jsonl", "--masks", "masks", "--json"]
        with subprocess.Popen(
            command("run", seeded_bundle.folder, "--source", camera, *outputs),
            cwd=tmp_path,
            env={**os.environ, **LOUD, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            said = ""
            while "preview: " not in said and (line := process.stderr.readline()):
                said += line
            page = said.rpartition("preview: ")[2].split()[0].rstrip("/")
            told = [urlopen(f"{page}/{name}").read().decode() for name in ("", "info", "metrics")]
            process.send_signal(signal.SIGTERM)
            out, rest = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [unquote(path) for path in seen] == [f"/{path}"]  # no part of it was lost
    heard = b""
    manager.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            heard += manager.recv(1000)
    assert f"http://***@127.0.0.1:{port}/user=***&password=***&channel=1" in told[1]
    assert b"password=***" in heard
    left = [path for path in tmp_path.rglob("*") if path.is_file() or path.is_dir()]
    written = [path.read_text() for path in left if path.suffix == ".jsonl"]
    assert written
    shows_nothing("\n".join([said, rest, out, *told, heard.decode(), *map(str, left), *written]))


def test_data_sets_and_schedulers(
    edgeseg: Callable, seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    data = f"http://admin:{SECRET}@127.0.0.1:9/street"
    dask = f"tcp://admin:{SECRET}@127.0.0.1:9"
    for arguments in (
        ("verify", seeded_bundle.folder, "--data", data),
        ("verify", seeded_bundle.folder, "--data", f"camvid:{data}"),
        ("verify", seeded_bundle.folder, "--data", f"none{data}"),
        ("verify", seeded_bundle.folder, "--data", "demo", "--dask", dask),
        ("export", "--weights", data, "--model", "b0"),
        ("export", "--model", "b0", "--weights", "demo", "--calibration", data),
        ("calibrate", f"rtsp://admin:{SECRET}@127.0.0.1:9/x", "-o", "new"),
        ("inspect", data),
    ):
        outcome = edgeseg(*arguments)
        assert outcome.status in {1, 2}, arguments
        shows_nothing(outcome.out + outcome.err)
    for asked in ({"data": data}, {"data": "demo", "dask": dask}):
        with pytest.raises(EdgesegError) as found:
            verify(VerifyRequest(source=str(seeded_bundle.folder), **asked))
        shows_nothing(str(found.value))
