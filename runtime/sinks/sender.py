"""Sends frames to a server by a process that may fail, hang or be ended."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from edgeseg.errors import SinkError, SpecError
from edgeseg.machine.ffmpeg import opens_scheme
from edgeseg.redact import encode_address, redact, scrub
from edgeseg.runtime.overlay import EncoderImage
from edgeseg.runtime.sinks.send_stream import HEAD, KINDS, PATIENCE_S, TICKS, UNABLE

__all__ = [
    "SCHEMES",
    "Sender",
    "UnableError",
    "check_can_send",
    "check_target",
    "extend_target",
]

# What FFmpeg calls the format of each scheme, and the options of its muxer.
_FORMATS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "rtsp": ("rtsp", {"rtsp_transport": "tcp"}),
    "rtsps": ("rtsp", {"rtsp_transport": "tcp"}),
    "rtmp": ("flv", {"flvflags": "no_duration_filesize"}),
    "rtmps": ("flv", {"flvflags": "no_duration_filesize"}),
    "srt": ("mpegts", {}),
    "udp": ("mpegts", {}),
    "tcp": ("mpegts", {}),
}
SCHEMES: Final = tuple(_FORMATS)
_MODULE: Final = "edgeseg.runtime.sinks.send_stream"


class UnableError(SinkError):
    """This machine can never send to such an address."""


def check_target(url: str) -> None:
    """Check by its scheme that frames can be sent to an address.

    Raises:
        SpecError: they cannot.
    """
    scheme, found, place = url.partition("://")
    if not found or scheme.lower() not in _FORMATS or not place:
        raise SpecError(
            f"--restream {redact(url)} is no address that takes video; give one that starts with "
            f"{', '.join(f'{known}://' for known in SCHEMES)}, as rtsp://localhost:8554/street"
        )


def check_can_send(url: str) -> None:
    """Check that the FFmpeg of PyAV knows an address's scheme, as far as that can be told.

    Raises:
        SinkError: it does not.
    """
    scheme = url.partition("://")[0].lower()
    if opens_scheme("av", scheme) is False:
        raise SinkError(
            f"{redact(url)} cannot be sent to: the FFmpeg of this PyAV is built without "
            f"{scheme}://; let a whole FFmpeg pass the stream on: give --restream "
            f"udp://127.0.0.1:5000, with ffmpeg -i udp://127.0.0.1:5000 -c copy -f mpegts ADDRESS"
        )


def extend_target(url: str, name: str) -> str:
    """Extend the path of a server's address by a source's name.

    Raises:
        SpecError: the address has no path, so that several streams would share it.
    """
    scheme, _, place = url.partition("://")
    if _FORMATS[scheme.lower()][0] == "mpegts":
        raise SpecError(
            f"--restream {redact(url)} takes one stream, and there are several sources; give a "
            f"server of RTSP or RTMP, where each has its own path, or run them apart"
        )
    address, mark, query = place.partition("?")
    return f"{scheme}://{address.rstrip('/')}/{name}{mark}{query}"


class Sender:
    """A connection to a server for frames of one even height and width.

    Call `connect` first, and `close` in the end. `sent` counts the frames that the connection took.
    """

    def __init__(self, url: str, *, height: int, width: int, rate: float) -> None:
        self._url = url
        self.sent = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Python imports from there first; a user's folder may hold anything.
            cwd=Path(__file__).parents[3],
            # Ctrl-C in a terminal goes to all processes of a group; the run ends this one.
            start_new_session=True,
        )
        container, options = _FORMATS[url.partition("://")[0].lower()]
        self._asked = {
            "url": encode_address(url), "format": container, "options": options,
            "width": width, "height": height, "rate": rate,
        }  # fmt: skip

    def connect(self) -> None:
        """Wait until the server is there.

        Raises:
            SinkError: the server is not there, or does not answer.
            UnableError: FFmpeg lacks what the address needs.
        """
        # By stdin: everybody on the machine sees a process's arguments, and a URL has passwords.
        self._write(json.dumps(self._asked).encode() + b"\n")
        assert self._process.stdout is not None, "it is a pipe"
        if not self._process.stdout.readline():
            raise self._explain()
        os.set_blocking(self._process.stdout.fileno(), False)

    def count(self) -> int:
        """Count the frames that were sent until now; never waits."""
        assert self._process.stdout is not None, "it is a pipe"
        with suppress(BlockingIOError):
            while told := os.read(self._process.stdout.fileno(), 4096):
                self.sent += len(told)
        return self.sent

    def send(self, image: EncoderImage, seconds: float) -> None:
        """Send a frame, `seconds` after the first one of this connection.

        Raises:
            SinkError: the server is gone, or does not answer.
        """
        head = struct.pack(HEAD, round(seconds * TICKS), KINDS.index(image.kind))
        self._write(head + image.pixels.tobytes())

    def close(self, *, wait_s: float = PATIENCE_S + 1) -> None:
        """End the connection. Never raises; calling twice is harmless."""
        try:
            told, _ = self._process.communicate(timeout=wait_s)
            self.sent += len(told or b"")
        except (subprocess.TimeoutExpired, OSError, ValueError):
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def kill(self) -> None:
        """End the process at once; another thread may be in `send`, which then raises."""
        self._process.kill()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None, "it is a pipe"
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError:
            raise self._explain() from None

    def _explain(self) -> SinkError:
        """Explain why the process has ended."""
        assert self._process.stderr is not None, "it is a pipe"
        told = self._process.stderr.read().decode("utf-8", "replace").strip()
        status = self._process.wait()
        self.count()
        reason = "it does not answer" if status == -signal.SIGALRM else scrub(told, self._url)
        kind = UnableError if status == UNABLE else SinkError
        self.close()
        return kind(reason.splitlines()[-1] if reason else f"the sender ended with {status}")
