"""A camera in a process of its own that sends numbered pictures, to be killed and started again.

Run as a program: sender.py URL FORMAT CODEC LOG sends to `URL`, or as `-` to standard output. Each
picture has the time at which it is sent drawn into it (see clock.py); LOG receives that number
first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from fractions import Fraction
from itertools import count, takewhile
from pathlib import Path

import clock

RATE = 25
PARENT = os.getppid()  # whoever started this process: without it there is nobody to send for
# The codecs hold nothing back, and a viewer may join within half a second.
CODECS = {
    "libx264": ("yuv420p", {"preset": "ultrafast", "tune": "zerolatency", "g": "12"}),
    "mjpeg": ("yuvj420p", {}),
}


class Sender:
    """Sends while the block runs, or until it is killed; `into` is its standard output."""

    def __init__(
        self, url: str, *, form: str, codec: str, log: Path, into: int | None = None
    ) -> None:
        self._command = [sys.executable, __file__, url, form, codec, str(log)]
        self._into = into
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=self._into, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()


def listening(form: str, url: str, **options: str) -> str:
    """The address at which FFmpeg serves one viewer; of the format `tee`.

    PyAV gives a protocol no options where it writes, and FFmpeg's `tee` does.
    """
    told = "".join(f":{name}={value}" for name, value in options.items())
    return f"[f={form}:listen=1{told}]{url}"


def send(url: str, form: str, codec: str, log: Path) -> None:
    """Send until the viewer goes."""
    import av

    pix_fmt, options = CODECS[codec]
    target = sys.stdout.buffer if url == "-" else url
    with (
        log.open("a") as told,
        av.open(target, "w", format=form, container_options={"flush_packets": "1"}) as out,
    ):
        stream = out.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width, stream.pix_fmt = clock.HEIGHT, clock.WIDTH, pix_fmt
        out.start_encoding()  # a server waits here for its viewer
        begun = time.monotonic()
        for index in takewhile(lambda _: os.getppid() == PARENT, count()):
            time.sleep(max(0.001, begun + index / RATE - time.monotonic()))  # no number twice
            number = clock.now_ms()
            frame = av.VideoFrame.from_ndarray(clock.picture(number), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            print(number, file=told, flush=True)
            out.mux(stream.encode(frame))


if __name__ == "__main__":
    where, form, codec, log = sys.argv[1:]
    while os.getppid() == PARENT:
        try:
            send(where, form, codec, Path(log))
        except OSError:
            time.sleep(0.05)  # the next viewer
