"""Web servers on loopback, to read pictures from: a camera, and a video that stalls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2

from edgeseg.demo import draw_scene


class Server(ThreadingHTTPServer):
    """Its end ends all answers: those that wait do so for `ended`."""

    daemon_threads = False  # they are joined at the end

    def __init__(self, handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
        self.ended = threading.Event()


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[int]:
    """The port of a server that answers every request so; its threads end with it."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the viewer has seen enough
                answer(self)

        def log_message(self, *_args: object) -> None:
            """Stay quiet."""

    with serving(Answer) as port:
        yield port


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[int]:
    """The port of a server with a handler of requests; its threads end with it."""
    with Server(handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def wait_for_the_end(request: BaseHTTPRequestHandler, seconds: float = 60) -> bool:
    """Until the server ends, or so many seconds have passed; whether it ended."""
    assert isinstance(request.server, Server)
    return request.server.ended.wait(seconds)


def jpegs(count: int, *, pause_s: float = 0.0) -> Callable[[BaseHTTPRequestHandler], None]:
    """A network camera: multipart JPEG over HTTP, so many frames."""
    _, jpeg = cv2.imencode(".jpg", draw_scene(1, 0, height=48, width=64).image)
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        for _ in range(count):
            request.wfile.write(part + jpeg.tobytes() + b"\r\n")
            if wait_for_the_end(request, pause_s):
                return

    return answer


def once(
    answer: Callable[[BaseHTTPRequestHandler], None],
) -> Callable[[BaseHTTPRequestHandler], None]:
    """The first request is answered; further ones are hung up on."""
    asked = threading.Event()

    def first(request: BaseHTTPRequestHandler) -> None:
        if not asked.is_set():
            asked.set()
            answer(request)

    return first


def half_of(video: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """The first half of a file; then nothing."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(video)))
        request.end_headers()
        request.wfile.write(video[: len(video) // 2])
        wait_for_the_end(request)

    return answer


def whole(content: bytes, *, length: bool = True) -> Callable[[BaseHTTPRequestHandler], None]:
    """A file; without `length`, the server does not say how long it is."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if length:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer
