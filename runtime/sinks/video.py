"""The overlay as a video: H.264 in fragments, so that what was written survives the writer."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.errors import MissingPackageError, SinkError
from edgeseg.labels import Labels
from edgeseg.pixels import Bgr
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.result import Result

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

__all__ = ["VideoSink"]

# A fragment begins at each key frame and is handed to the system when the next one comes: after a
# `kill -9` the file plays up to the last whole one. The frame list of an ordinary MP4 is written
# at its end, and lost.
_CONTAINER: Final = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof",
    "flush_packets": "1",
}
_FRAGMENT_S: Final = 1.0
# The cheapest preset: the engine needs the cores. 23 is x264's own default quality.
_ENCODER: Final = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23", "forced-idr": "1"}
_TICKS: Final = 90_000  # a second: MPEG's clock, which all usual frame rates divide


class VideoSink:
    """Encodes beside the final file, each frame at its own time. The first decides the size.

    H.264 with halved colour wants even sizes: an odd last row or column is repeated.
    """

    def __init__(self, path: Path, labels: Labels, *, fps: float) -> None:
        try:
            import av
        except ImportError:
            raise MissingPackageError(
                "PyAV", purpose=f"writing {path}", command="pip install 'edgeseg[video]'"
            ) from None
        av.logging.set_level(None)  # what it would print, our errors say in one line
        self._path = path
        # The ending stays last: the container goes by it.
        self._partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        self._overlay = Overlay(labels)
        self._rate = Fraction(fps).limit_denominator(1001)  # 29.97 is 30000/1001
        self._size_wh = (0, 0)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._last_tick = -1
        self._next_key_s = 0.0

    def write(self, result: Result, /) -> None:
        """Append one frame."""
        size_wh = (result.mask.shape[1], result.mask.shape[0])
        if self._container is None and self._last_tick < 0:
            self._open(size_wh)
        if size_wh != self._size_wh:
            raise SinkError(
                f"{self._path} cannot take {result.captured.name}: it is {size_wh[0]}x{size_wh[1]},"
                f" the frames before are {self._size_wh[0]}x{self._size_wh[1]}; "
                f"use --masks instead"
            )
        try:
            self._encode(self._overlay.draw(result.captured.image, result.mask), result)
        except OSError as error:
            self._let_go()
            raise SinkError(f"{self._path} cannot be written: {error.strerror}") from None

    def finish(self) -> None:
        """Close the video and give it its final name."""
        if self._container is not None and self._stream is not None:
            try:
                self._container.mux(self._stream.encode())
                self._container.close()
            except OSError as error:
                self.discard()
                raise SinkError(f"{self._path} cannot be written: {error.strerror}") from None
            self._container = None
        if self._last_tick >= 0:
            self._partial.replace(self._path)

    def discard(self) -> None:
        """Remove the file beside."""
        self._let_go()
        self._partial.unlink(missing_ok=True)

    def _open(self, size_wh: tuple[int, int]) -> None:
        import av

        try:
            self._container = av.open(str(self._partial), "w", options=_CONTAINER)
        except OSError as error:
            raise SinkError(f"{self._path} cannot be written: {error.strerror}") from None
        self._stream = self._container.add_stream("libx264", rate=self._rate, options=_ENCODER)
        self._stream.width, self._stream.height = (side + side % 2 for side in size_wh)
        self._stream.pix_fmt = "yuv420p"
        self._stream.thread_count = 1
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, _TICKS)
        self._size_wh = size_wh

    def _encode(self, drawn: Bgr, result: Result) -> None:
        import av
        from av.video.frame import PictureType

        assert self._container is not None, "it was just opened"
        assert self._stream is not None, "it was opened with the container"
        odd_wh = (self._size_wh[1] % 2, self._size_wh[0] % 2)
        if any(odd_wh):
            drawn = np.pad(drawn, ((0, odd_wh[0]), (0, odd_wh[1]), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(drawn, format="bgr24")
        seconds = result.captured.time_s
        # Two frames of a live source may come within a tick of each other; time never stands still.
        self._last_tick = max(self._last_tick + 1, round(seconds * _TICKS))
        frame.pts, frame.time_base = self._last_tick, Fraction(1, _TICKS)
        if seconds >= self._next_key_s:
            frame.pict_type = PictureType.I
            self._next_key_s = seconds + _FRAGMENT_S
        self._container.mux(self._stream.encode(frame))

    def _let_go(self) -> None:
        """Close without a word: after an error the whole fragments are in the file already."""
        if self._container is not None:
            with suppress(OSError):
                self._container.close()
            self._container = None
