"""Reads videos and streams with PyAV, and gives the pixels that OpenCV gives."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgeseg.pixels import Bgr
from edgeseg.runtime.sources.captures import properties

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["AvCapture", "BgrConverter"]

_CODES: Final = MappingProxyType({"mpeg4": b"FMP4", "h263": b"H263", "flv": b"FLV1"})
# OpenCV's variable, its form, and what OpenCV sets without it.
_OPTIONS: Final = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_RTSP: Final = MappingProxyType({"rtsp_flags": "prefer_tcp"})
# FFmpeg's names of forms whose length on a server says nothing of how long they go on.
_UNENDING: Final = frozenset({"dash", "hls", "mpjpeg", "sdp"})
# FFmpeg's AVFMT_NOTIMESTAMPS: multipart JPEGs and raw H.264 have none.
_NO_TIMES: Final = 0x80
# By default FFmpeg looks 5 s for the sound that RTMP always announces. Frames grow old meanwhile.
_RTMP: Final = MappingProxyType({"analyzeduration": "2000000"})  # microseconds


class BgrConverter:
    """Turns decoded frames into uint8 BGR (H, W, 3) by OpenCV's rule of scaling, bicubic."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame) -> Bgr:
        """Convert one frame; the array is the caller's own."""
        turned = self._reformatter.reformat(frame, format="bgr24", interpolation="BICUBIC")
        return np.require(turned.to_ndarray(), np.uint8, ["C", "W"])


class AvCapture:
    """Stands in for `cv2.VideoCapture`, as far as files and streams need one.

    `file` is a path, a URL or a file object that is read from its start. `one_thread` decodes in
    one thread: each further thread of FFmpeg holds back a frame. `patience_s` limits the wait for
    the sender, at the start and for each packet. What does not open is told by `isOpened`;
    `lacks_protocol` then says that this FFmpeg does not know the scheme of the URL.
    """

    def __init__(
        self,
        file: Any,  # noqa: ANN401  # as av.open
        *,
        one_thread: bool = False,
        patience_s: float | None = None,
    ) -> None:
        import av

        self.lacks_protocol = False
        self._container: InputContainer | None = None
        self._waiting: VideoFrame | None = None
        self._stamp_s: float | None = None
        self._type = 0
        try:
            container = av.open(
                file,
                "r",
                options=_read_options(file),
                timeout=None if patience_s is None else (patience_s, patience_s),
            )
        except av.error.ProtocolNotFoundError:
            self.lacks_protocol = True
            return
        except (OSError, av.FFmpegError, ValueError):
            return
        stream = container.streams.best("video")
        if stream is None or stream.codec_context is None:  # no pictures, or of an unknown codec
            container.close()
            return
        if one_thread:
            stream.codec_context.thread_count = 1
        else:
            stream.codec_context.thread_type = "AUTO"
        self._container, self._stream = container, stream
        self._frames = _decode(container, stream)
        self._convert = BgrConverter().convert

    def isOpened(self) -> bool:  # noqa: N802  # as OpenCV's
        """Tell whether the file or stream is open."""
        return self._container is not None

    def getBackendName(self) -> str:  # noqa: N802  # as OpenCV's
        """Name the reader."""
        return properties.PYAV

    def read(self) -> tuple[bool, Bgr | None]:
        """Decode the next frame; False at the end, and where nothing more came in time."""
        from av.video.frame import PictureType

        frame = self._peek()
        self._waiting = None
        if frame is None:
            return False, None
        self._stamp_s = self._find_stamp(frame)
        self._type = ord(PictureType(frame.pict_type).name[0])
        return True, self._convert(frame)

    def get(self, prop: int) -> float:
        """Get one of the `properties`; 0 where it is unknown."""
        ask: Mapping[int, Callable[[], float]] = {
            properties.POSITION_MS: lambda: 1000 * (self._stamp_s or 0),
            properties.SENT_MS: self._find_sent_ms,
            properties.HAS_END: self._find_end,
            properties.FPS: self._find_rate,
            properties.FOURCC: self._find_code,
            properties.FRAME_TYPE: lambda: self._type,
            properties.FRAME_COUNT: self._count_frames,
            properties.PIXEL_FORMAT: self._find_pixel_format,
            properties.ORIENTATION: self._find_turn,
        }
        return ask[prop]() if prop in ask and self._container is not None else 0.0

    def set(self, _prop: int, _value: float) -> bool:
        """Change nothing: frames come as they are stored, unturned."""
        return False

    def release(self) -> None:
        """Close the file or stream. Calling twice is harmless."""
        container, self._container = self._container, None
        self._waiting = None
        if container is not None:
            self._frames.close()
            container.close()

    def _peek(self) -> VideoFrame | None:
        if self._container is not None and self._waiting is None:
            self._waiting = next(self._frames, None)
        return self._waiting

    def _find_stamp(self, frame: VideoFrame) -> float | None:
        """Find a frame's time in seconds from the stream's start; None where it has none."""
        if frame.pts is None or frame.time_base is None:
            return None
        base = self._stream.time_base or frame.time_base
        start = (self._stream.start_time or 0) * base
        return float(frame.pts * frame.time_base - start)

    def _find_sent_ms(self) -> float:
        """Find when the last frame was sent; 0 where FFmpeg counts frames for want of times."""
        assert self._container is not None
        if self._stamp_s is None or int(self._container.format.flags) & _NO_TIMES:
            return 0.0
        return max(0.0, 1000 * (self._stamp_s + 1))

    def _find_end(self) -> float:
        """Give 1 where the server tells a length; that of a playlist, or of a camera, is none."""
        assert self._container is not None
        names = {*self._container.format.name.split(",")}
        return float(not names & _UNENDING and self._container.size > 0)

    def _find_rate(self) -> float:
        return float(self._stream.guessed_rate or self._stream.average_rate or 0)

    def _find_code(self) -> float:
        """Give the code of the codecs for which whole.py asks; 0 for all other codecs."""
        code = _CODES.get(self._stream.codec_context.name, b"")
        return int.from_bytes(code, "little")

    def _count_frames(self) -> float:
        """Count the frames as the container does, otherwise by its duration, as OpenCV does."""
        assert self._container is not None
        if self._stream.frames:
            return float(self._stream.frames)
        seconds = (self._container.duration or 0) / 1e6
        return math.floor(seconds * self._find_rate() + 0.5)

    def _find_pixel_format(self) -> float:
        """Give FFmpeg's code for YUV of more than 8 bits; 0 for all other formats."""
        form = self._stream.codec_context.format
        bits = max((part.bits for part in form.components), default=8) if form else 8
        return int.from_bytes(bytes((*b"Y3", 11, bits)), "little") if bits > 8 else 0

    def _find_turn(self) -> float:
        """Find by how many degrees clockwise a turn shows the frames upright."""
        frame = self._peek()
        side_data: Any = () if frame is None else frame.side_data
        for data in side_data:
            if data.type.name == "DISPLAYMATRIX":
                a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
                return math.degrees(math.atan2(b * math.hypot(a, c), a * math.hypot(b, d))) % 360
        return 0.0


def _decode(container: InputContainer, stream: VideoStream) -> Generator[VideoFrame, None, None]:
    """Decode until the end; a timeout is an end, too. Broken data is passed over."""
    import av

    with suppress(OSError, av.FFmpegError):
        for packet in container.demux(stream):
            with suppress(av.error.InvalidDataError):
                yield from packet.decode()


def _read_options(file: Any) -> dict[str, str]:  # noqa: ANN401  # as above
    """Read the options for FFmpeg that the user set for OpenCV, or take those of the scheme."""
    if not (isinstance(file, str) and "://" in file):
        return {}
    text = os.environ.get(_OPTIONS)
    if text is None:
        known = {"rtsp": _RTSP, "rtmp": _RTMP}
        return dict(known.get(file[:4], {}))  # rtsps and rtmps, too
    pairs = (pair.partition(";") for pair in text.split("|"))
    return {name: value for name, separator, value in pairs if separator}
