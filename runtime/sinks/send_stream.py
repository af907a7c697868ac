"""Encodes frames and sends them to a server; a process of its own, which `Sender` starts.

PyAV holds Python's lock while it connects, and FFmpeg may wait forever for a server that does not
answer. So this process may be ended at any moment. The system's alarm ends it where a server takes
too long: that needs no Python.

On stdin: a line of JSON, {"url", "format", "options", "width", "height", "rate"}, then for each
frame `HEAD`, its time in ticks and the number of its kind in `KINDS`, and its pixels. On stdout: a
line when the server is there, then a byte for each frame that was sent. On stderr: a line that says
why the process ends early. The exit status is `UNABLE` where another attempt would fail, too.
"""

from __future__ import annotations

import json
import math
import signal
import struct
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

__all__ = ["HEAD", "KINDS", "PATIENCE_S", "TICKS", "UNABLE", "main"]

HEAD: Final = "<qB"
KINDS: Final = ("bgr24", "nv12")  # of frames, as FFmpeg calls them

TICKS: Final = 90_000  # a second, as MPEG's own clock
PATIENCE_S: Final = 5
UNABLE: Final = 3

# A viewer who joins waits for a key frame.
_KEY_FRAME_TICKS: Final = 2 * TICKS
_ENCODER: Final = {
    "preset": "ultrafast",
    "tune": "zerolatency",
    "crf": "23",
    "forced-idr": "1",
    "x264-params": "colormatrix=smpte170m",  # as FFmpeg converts RGB
}


def main() -> None:
    """Send what comes on stdin until it ends."""
    import av

    av.logging.set_level(None)
    source = sys.stdin.buffer
    asked = json.loads(source.readline())
    try:
        _send(source, **asked)
    except (OSError, av.FFmpegError) as error:
        sys.stderr.write(f"{error.strerror or type(error).__name__}\n")
        unable = isinstance(error, (av.error.ProtocolNotFoundError, av.error.MuxerNotFoundError))
        sys.exit(UNABLE if unable else 1)


def _send(
    source: BinaryIO,
    *,
    url: str,
    format: str,  # noqa: A002  # as av.open names it
    options: dict[str, str],
    width: int,
    height: int,
    rate: float,
) -> None:
    import av

    signal.alarm(PATIENCE_S)
    with av.open(url, "w", format=format, options=options) as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(rate).limit_denominator(1001), options=_ENCODER
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        container.start_encoding()
        signal.alarm(0)
        sys.stdout.write("there\n")
        sys.stdout.flush()
        _send_frames(source, container, stream)
        signal.alarm(PATIENCE_S)
        container.mux(stream.encode())
    signal.alarm(0)


def _send_frames(source: BinaryIO, container: OutputContainer, stream: VideoStream) -> None:
    import av
    import numpy as np
    from av.video.frame import PictureType

    height, width = stream.height, stream.width
    shapes = {"bgr24": (height, width, 3), "nv12": (3 * height // 2, width)}
    key_at = 0
    while len(head := source.read(struct.calcsize(HEAD))) == struct.calcsize(HEAD):
        ticks, number = struct.unpack(HEAD, head)
        shape = shapes[KINDS[number]]
        pixels = source.read(math.prod(shape))
        if len(pixels) < math.prod(shape):
            break
        signal.alarm(PATIENCE_S)
        image = np.frombuffer(pixels, np.uint8).reshape(shape)
        frame = av.VideoFrame.from_ndarray(image, format=KINDS[number])
        frame.pts = ticks
        frame.time_base = Fraction(1, TICKS)
        if ticks >= key_at:
            frame.pict_type = PictureType.I
            key_at = ticks + _KEY_FRAME_TICKS
        container.mux(stream.encode(frame))
        signal.alarm(0)
        sys.stdout.write(".")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
