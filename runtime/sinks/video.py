"""Writes overlays to a video file: H.264 in fragments, which survive when the process is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.errors import MissingPackageError, SinkError
from edgeseg.files.signature import SIGNATURE
from edgeseg.machine.extras import make_install_command
from edgeseg.runtime.overlay import EncoderImage, Overlay
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.clock import LONGEST_PAUSE_S, TICKS, Clock
from edgeseg.runtime.sinks.partial import give_name, name_partial
from edgeseg.text import explain

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

__all__ = ["VideoFile"]

# A fragment begins at each key frame and is written when the next one begins. After a `kill -9` the
# file plays up to the last complete fragment. An ordinary MP4 gets its frame list at the end, and
# would lose it.
_CONTAINER: Final = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof",
    "flush_packets": "1",
}
# The cheapest preset leaves the cores to the engine. 23 is x264's default quality.
_ENCODER: Final = {
    "preset": "ultrafast",
    "tune": "zerolatency",
    "crf": "23",
    "forced-idr": "1",
    # The matrix that FFmpeg converts RGB with. Without it, players assume BT.709 for large videos.
    "x264-params": "colormatrix=smpte170m",
}
_CODEC: Final = "libx264"


class VideoFile:
    """Encodes a temporary file, each frame at its own time. The first frame decides the size.

    H.264 with halved color needs even sizes, so an odd last row or column is repeated. Where a
    device made NV12, no color is converted here.
    `last_frame_s` tells how long the source shows its last frame; None where unknown.
    """

    def __init__(
        self,
        path: Path,
        overlay: Overlay,
        *,
        fps: float,
        last_frame_s: Callable[[], float | None],
    ) -> None:
        try:
            import av
        except ImportError:
            raise MissingPackageError(
                "PyAV", purpose=f"writing {path}", command=make_install_command(["video"])
            ) from None
        if _CODEC not in av.codecs_available:
            raise SinkError(
                f"{path} cannot be written: this PyAV was built without {_CODEC}; run: "
                f"pip install --force-reinstall --only-binary=av av"
            )
        av.logging.set_level(None)  # edgeseg's own errors say the same in one line
        self._path = path
        self._partial = name_partial(path)
        self._overlay = overlay
        self._rate = Fraction(fps).limit_denominator(1001)  # 29.97 is 30000/1001
        self._last_frame_s = last_frame_s
        self._frame_ticks = 0
        self._size_wh = (0, 0)
        self._file: _File | None = None
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._clock = Clock()
        self._failed = False

    def write(self, result: Result, /) -> None:
        """Append a frame that `find_misfit` finds nothing against."""
        if self._file is None:
            self._open((result.mask.shape[1], result.mask.shape[0]))
        with self._name_failures():
            self._encode(self._overlay.encode(result), result)

    def find_misfit(self, result: Result) -> str | None:
        """Find why the video cannot take a frame: its size, or its time; None where it can."""
        if self._file is None:
            return None
        height, width = result.mask.shape
        if (width, height) != self._size_wh:
            return (
                f"it is {height}x{width} (height x width), the frames before are "
                f"{self._size_wh[1]}x{self._size_wh[0]}"
            )
        pause_s = self._clock.pause_before(result.captured.time_s)
        if pause_s > LONGEST_PAUSE_S:
            return (
                f"it is shown {pause_s / 3600:.1f} hours after the frame before it, a video takes "
                f"pauses of {LONGEST_PAUSE_S / 3600:.0f}"
            )
        return None

    def close(self) -> None:
        """Complete the temporary file, as far as it can be. Calling twice is harmless.

        Raises:
            SinkError: the last fragment cannot be written.
        """
        if self._failed or self._container is None:
            self._let_go()
            return
        with self._name_failures():
            self._close()

    def finish(self) -> Path | None:
        """Close and rename the video; after an error, only where a fragment is complete."""
        if self._file is None:
            return None
        self.close()
        if self._failed and not self._clock.whole_fragments:
            self.discard()
            return None
        return give_name(self._partial, self._path)

    def discard(self) -> None:
        """Remove the temporary file."""
        self._let_go()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)

    @contextmanager
    def _name_failures(self) -> Iterator[None]:
        """Turn errors of FFmpeg and of the disk into one line."""
        import av

        try:
            yield
        except (OSError, av.FFmpegError) as error:
            self._failed = True
            disk = None if self._file is None else self._file.error
            raise SinkError(f"{self._path} cannot be written: {explain(disk or error)}") from None

    def _open(self, size_wh: tuple[int, int]) -> None:
        import av

        with self._name_failures():
            self._file = _File(self._partial)
            self._container = av.open(self._file, "w", format="mp4", options=_CONTAINER)
            self._container.metadata["comment"] = SIGNATURE
            self._stream = self._container.add_stream(_CODEC, rate=self._rate, options=_ENCODER)
            self._stream.width, self._stream.height = (side + side % 2 for side in size_wh)
            self._stream.pix_fmt = "yuv420p"
            self._stream.thread_count = 1
            self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._size_wh = size_wh
        self._frame_ticks = round((self._last_frame_s() or float(1 / self._rate)) * TICKS)

    def _encode(self, drawn: EncoderImage, result: Result) -> None:
        import av
        from av.video.frame import PictureType

        assert self._container is not None, "it was just opened"
        assert self._stream is not None, "it was opened with the container"
        frame = av.VideoFrame.from_ndarray(drawn.pixels, format=drawn.kind)
        frame.pts, begins_fragment = self._clock.tick(result.captured.time_s)
        frame.time_base = Fraction(1, TICKS)
        if begins_fragment:
            frame.pict_type = PictureType.I
        for packet in self._stream.encode(frame):
            packet.duration = self._frame_ticks  # the next frame shortens it; the last one's stays
            self._container.mux(packet)
        self._clock.take(begins_fragment=begins_fragment)

    def _close(self) -> None:
        """Close the video; FFmpeg hides errors of this last flush, but `_File` keeps them."""
        assert self._container is not None, "a frame was written"
        assert self._stream is not None, "it was opened with the container"
        assert self._file is not None, "as above"
        try:
            self._container.mux(self._stream.encode())
            self._container.close()
        finally:
            self._container = self._stream = None
            self._file.close()
        if self._file.error is not None:
            raise self._file.error

    def _let_go(self) -> None:
        """Close without raising: after an error the complete fragments are in the file already."""
        import av

        with suppress(OSError, av.FFmpegError):
            if self._container is not None:
                self._container.close()
        with suppress(OSError):
            if self._file is not None:
                self._file.close()


class _File:
    """The file that FFmpeg writes to. It keeps its first error: FFmpeg hides some errors."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of `data`.

        Raises:
            OSError: the data cannot be written, for example on a full disk.
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
