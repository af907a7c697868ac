"""The overlay as a video, or, for a single frame, as a picture."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from edgeseg.errors import SinkError
from edgeseg.images import IMAGE_SUFFIXES
from edgeseg.labels import Labels
from edgeseg.pixels import ClassMap
from edgeseg.runtime.opencv import import_opencv
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.sources import Captured

__all__ = ["PictureSink", "VideoSink", "open_save_sink"]

_VIDEO_SUFFIX: Final = ".mp4"
# MPEG-4 part 2, which every OpenCV with FFmpeg encodes. H.264 is missing from most builds.
_CODEC: Final = "mp4v"


def open_save_sink(path: Path, labels: Labels, *, fps: float) -> VideoSink | PictureSink:
    """A sink for `--save`: by the file's ending a picture or a video.

    Raises:
        SinkError: an unknown ending, or a folder that cannot be made.
    """
    suffix = path.suffix.lower()
    if suffix != _VIDEO_SUFFIX and suffix not in IMAGE_SUFFIXES:
        raise SinkError(
            f"{path} cannot be written: unknown ending {suffix!r}; use {_VIDEO_SUFFIX} for a "
            f"video, or .png or .jpg for one picture"
        )
    if path.is_dir():
        raise SinkError(f"{path} cannot be written: it is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror}") from None
    if suffix in IMAGE_SUFFIXES:
        return PictureSink(path, labels)
    return VideoSink(path, labels, fps=fps)


class VideoSink:
    """Encodes beside the final file. The first frame decides the size."""

    def __init__(self, path: Path, labels: Labels, *, fps: float) -> None:
        self._cv2 = import_opencv(f"writing {path}")
        self._path = path
        # The ending stays last: the encoder goes by it.
        self._partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        self._overlay = Overlay(labels)
        self._fps = fps
        self._size_wh = (0, 0)
        self._frames = 0
        self._writer: Any = None

    def write(self, captured: Captured, mask: ClassMap, /) -> None:
        """Append one frame."""
        size_wh = (mask.shape[1], mask.shape[0])
        if self._writer is None:
            self._open(size_wh)
        if size_wh != self._size_wh:
            raise SinkError(
                f"{self._path} cannot take {captured.name}: it is {size_wh[0]}x{size_wh[1]}, the "
                f"frames before are {self._size_wh[0]}x{self._size_wh[1]}; use --masks instead"
            )
        drawn = self._overlay.draw(captured.image, mask)
        # The encoder says nothing of a full disk, and a camera may run on for days.
        if shutil.disk_usage(self._path.parent).free < drawn.nbytes:
            raise SinkError(f"{self._path} cannot be written: the disk is full")
        self._writer.write(drawn)
        self._frames += 1

    def finish(self) -> None:
        """Close the video, read it back, and give it its final name.

        OpenCV's writer reports no errors: a full disk shows only in what can be read afterwards.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if not self._is_whole():
            self.discard()
            raise SinkError(f"{self._path} could not be written whole; is the disk full?")
        self._partial.replace(self._path)

    def discard(self) -> None:
        """Remove the file beside."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._partial.unlink(missing_ok=True)

    def _open(self, size_wh: tuple[int, int]) -> None:
        fourcc = self._cv2.VideoWriter_fourcc(*_CODEC)
        self._writer = self._cv2.VideoWriter(str(self._partial), fourcc, self._fps, size_wh)
        self._size_wh = size_wh
        if not self._writer.isOpened():
            self.discard()
            raise SinkError(
                f"{self._path} cannot be written: is the folder writable, and does this OpenCV "
                f"have the {_CODEC} encoder?"
            )

    def _is_whole(self) -> bool:
        check = self._cv2.VideoCapture(str(self._partial))
        try:
            # The index is written last, so its count and the last frame stand for the rest.
            if int(check.get(self._cv2.CAP_PROP_FRAME_COUNT)) != self._frames:
                return False
            check.set(self._cv2.CAP_PROP_POS_FRAMES, self._frames - 1)
            return bool(check.read()[0])
        finally:
            check.release()


class PictureSink:
    """The overlay of exactly one frame."""

    def __init__(self, path: Path, labels: Labels) -> None:
        self._path = path
        self._partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        self._overlay = Overlay(labels)
        self._written = False

    def write(self, captured: Captured, mask: ClassMap, /) -> None:
        """Draw the picture."""
        from PIL import Image

        if self._written:
            raise SinkError(f"{self._path} takes one frame; save a video (.mp4), or add --frames 1")
        drawn = self._overlay.draw(captured.image, mask)
        try:
            Image.fromarray(drawn[:, :, ::-1].copy()).save(self._partial)
        except OSError as error:
            self.discard()
            raise SinkError(f"{self._path} cannot be written: {error.strerror}") from None
        self._written = True

    def finish(self) -> None:
        """Give the picture its final name."""
        if self._written:
            self._partial.replace(self._path)

    def discard(self) -> None:
        """Remove the file beside."""
        self._partial.unlink(missing_ok=True)
