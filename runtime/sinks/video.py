"""The overlay as a video: H.264 in fragments, so that what was written survives the writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.errors import MissingPackageError, SinkError
from edgeseg.labels import Labels
from edgeseg.pixels import Bgr
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.partial import because, partial_of

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
# A camera that was away for longer is shown as if for so long: FFmpeg breaks on gaps of hours.
_LONGEST_GAP_S: Final = 10.0


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
        self._partial = partial_of(path)
        self._overlay = Overlay(labels)
        self._rate = Fraction(fps).limit_denominator(1001)  # 29.97 is 30000/1001
        self._size_wh = (0, 0)
        self._file: _File | None = None
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._clock = _Clock()
        self._failed = False

    def write(self, result: Result, /) -> None:
        """Append one frame."""
        size_wh = (result.mask.shape[1], result.mask.shape[0])
        if self._container is None:
            self._open(size_wh)
        if size_wh != self._size_wh:
            raise SinkError(
                f"{self._path} cannot take {result.captured.name}: it is {size_wh[0]}x{size_wh[1]},"
                f" the frames before are {self._size_wh[0]}x{self._size_wh[1]}; "
                f"use --masks instead"
            )
        with self._told():
            self._encode(self._overlay.draw(result.captured.image, result.mask), result)

    def finish(self) -> Path | None:
        """Close the video and give it its final name; after an error, if a fragment is whole."""
        if self._file is None:
            return None
        if self._failed:
            self._let_go()
            if not self._clock.whole_fragments:
                self.discard()
                return None
        else:
            with self._told():
                self._close()
        try:
            return self._partial.replace(self._path)
        except OSError as error:
            raise SinkError(f"{self._path} cannot be written: {because(error)}") from None

    def discard(self) -> None:
        """Remove the file beside."""
        self._let_go()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """FFmpeg's errors, and the disk's, as one line."""
        import av

        try:
            yield
        except (OSError, av.FFmpegError) as error:
            self._failed = True
            disk = None if self._file is None else self._file.error
            raise SinkError(f"{self._path} cannot be written: {because(disk or error)}") from None

    def _open(self, size_wh: tuple[int, int]) -> None:
        import av

        with self._told():
            self._file = _File(self._partial)
            self._container = av.open(self._file, "w", format="mp4", options=_CONTAINER)
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
        frame.pts, begins_fragment = self._clock.tick(result.captured.time_s)
        frame.time_base = Fraction(1, _TICKS)
        if begins_fragment:
            frame.pict_type = PictureType.I
        self._container.mux(self._stream.encode(frame))
        self._clock.took(begins_fragment=begins_fragment)

    def _close(self) -> None:
        """Closing flushes, and FFmpeg does not say whether that succeeded: the file does."""
        assert self._container is not None, "a frame was written"
        assert self._stream is not None, "it was opened with the container"
        assert self._file is not None, "as above"
        try:
            self._container.mux(self._stream.encode())
            self._container.close()
        finally:
            self._file.close()
        if self._file.error is not None:
            raise self._file.error

    def _let_go(self) -> None:
        """Close without a word: after an error the whole fragments are in the file already."""
        import av

        with suppress(OSError, av.FFmpegError):
            if self._container is not None:
                self._container.close()
        with suppress(OSError):
            if self._file is not None:
                self._file.close()


class _Clock:
    """Frames' times as ticks that always grow, and where fragments begin."""

    def __init__(self) -> None:
        self._last_tick = -1
        self._last_s = 0.0
        self._cut_s = 0.0
        self._next_key_s = 0.0
        self._fragments = 0

    def tick(self, seconds: float) -> tuple[int, bool]:
        """The frame's tick, and whether a fragment begins with it."""
        gap = seconds - self._last_s
        if gap > _LONGEST_GAP_S:
            self._cut_s += gap - _LONGEST_GAP_S
        self._last_s = seconds
        # Two frames of a live source may come within a tick of each other; time never stands still.
        self._last_tick = max(self._last_tick + 1, round((seconds - self._cut_s) * _TICKS))
        return self._last_tick, seconds >= self._next_key_s

    def took(self, *, begins_fragment: bool) -> None:
        """The frame was taken, and, where a fragment begins, the one before it was written."""
        if begins_fragment:
            self._fragments += 1
            self._next_key_s = self._last_s + _FRAGMENT_S

    @property
    def whole_fragments(self) -> int:
        """How many the file holds."""
        return max(0, self._fragments - 1)


class _File:
    """What FFmpeg writes to. Its first error is kept: FFmpeg forgets those of its last flush."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of it.

        Raises:
            OSError: the disk is full, or worse.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.error = self.error or error
            raise
        return len(data)

    def close(self) -> None:
        """Close the file. Calling twice is harmless."""
        self._file.close()
