"""Video clips whose times, turn and colors are known, and what PyAV reads from a clip."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (48, 64)
B_FRAMES = {"bf": "2", "b-adapt": "0"}
# Thirty frames in the first second, then one a second, as a phone's or a dash camera's clip.
UNEVEN = [index / 30 for index in range(30)] + [float(second) for second in range(2, 12)]


def write_clip(
    path: Path,
    times_s: Sequence[float],
    *,
    images: Sequence[np.ndarray] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    ticks: int = 90_000,
    **color: int,
) -> Path:
    """A clip whose frames are shown at these times; without `images`, of gray that grows lighter.

    `color` are fields of the codec: `color_trc`, `color_primaries`, `colorspace`.
    """
    shown = [gray(index) for index in range(len(times_s))] if images is None else images
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.height, stream.width = shown[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, ticks)
        for name, value in color.items():
            setattr(stream.codec_context, name, value)
        for seconds, image in zip(times_s, shown, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(seconds * ticks), Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_stamped(path: Path, stamps_ms: Sequence[int]) -> Path:
    """A Matroska clip with these stamps, as they are: they may repeat, or fall."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuvj420p"
        packets = []
        for index in range(len(stamps_ms)):
            frame = av.VideoFrame.from_ndarray(gray(index), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            packets += stream.encode(frame)
        for packet, stamp in zip(packets, stamps_ms, strict=True):
            packet.pts = packet.dts = stamp
            packet.time_base, packet.stream = Fraction(1, 1000), stream
            container.mux(packet)
    return path


def gray(index: int) -> np.ndarray:
    return np.full((*SIZE, 3), 20 + 5 * (index % 40), np.uint8)


def turn(path: Path, clockwise: int) -> Path:
    """Ask players to turn an MP4, as phones do: by the matrix in the header of its track."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise]
    one = 1 << 16
    matrix = (cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    content[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path


def frame_times(path: Path) -> list[float]:
    """When PyAV shows each frame, in seconds from the first."""
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    return [time - times[0] for time in times]


def duration_s(path: Path) -> float:
    """From the first frame to the end of the last one, as the container's packets say."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    first = min(packet.pts for packet in packets)
    end = max(packet.pts + packet.duration for packet in packets)
    return float((end - first) * packets[0].time_base)
