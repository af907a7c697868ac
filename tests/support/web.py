"""Web servers on loopback, to read pictures from: a camera, and a video that stalls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2

from edgeseg.demo import scene


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[int]:
    """The port of a server that answers every request so."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the viewer has seen enough
                answer(self)

        def log_message(self, *_args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def jpegs(count: int, *, pause_s: float = 0.0) -> Callable[[BaseHTTPRequestHandler], None]:
    """A network camera: multipart JPEG over HTTP, so many frames."""
    _, jpeg = cv2.imencode(".jpg", scene(1, 0, height=48, width=64).image)
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        for _ in range(count):
            request.wfile.write(part + jpeg.tobytes() + b"\r\n")
            threading.Event().wait(pause_s)

    return answer


def half_of(video: bytes, ended: threading.Event) -> Callable[[BaseHTTPRequestHandler], None]:
    """The first half of a file; then nothing until `ended`."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(video)))
        request.end_headers()
        request.wfile.write(video[: len(video) // 2])
        ended.wait(timeout=60)

    return answer
