"""The moving picture, and who watches it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from previews import get, port_of, preview, result, running, until

from edgeseg.runtime.preview.motion import MAX_VIEWERS
from edgeseg.runtime.preview.sink import PreviewSink

if TYPE_CHECKING:
    import pytest


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
