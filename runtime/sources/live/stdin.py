"""Gives the frames that another program writes to standard input.

JPEGs follow each other and are found by their markers. Raw frames are described by the user. Any
other content is a video, and FFmpeg says which.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from edgeseg.errors import SourceError
from edgeseg.machine.pyav import import_pyav
from edgeseg.pixels import Bgr
from edgeseg.progress import Say
from edgeseg.runtime.sources.captures import properties
from edgeseg.runtime.sources.captures.pyav import AvCapture
from edgeseg.runtime.sources.captures.rate import read_rate
from edgeseg.runtime.sources.files.pictures import decode_picture
from edgeseg.runtime.sources.files.video import open_capture, open_video
from edgeseg.runtime.sources.live.jpegs import JPEG_START, JpegSplitter
from edgeseg.runtime.sources.live.pipe import Pipe
from edgeseg.runtime.sources.live.raw import RawFrames
from edgeseg.runtime.sources.options import Retry
from edgeseg.runtime.sources.source import Captured, Source
from edgeseg.text import pluralize

__all__ = ["open_stdin"]

_NAME: Final = "standard input"
_PATH: Final = Path("/dev/stdin")
# The rate of frames that carry no times, as FFmpeg has it.
_UNTIMED_FPS: Final = 25.0
_VIDEO: Final = "a video"
_CHUNK: Final = 1 << 16
_PIPE: Final = "rpicam-vid -t 0 --codec mjpeg -o - | edgeseg run BUNDLE --source -"
_RAW: Final = "raw frames need --raw-size HxW and --raw-format"
_UNKNOWN: Final = f"{_NAME} is neither JPEGs nor a video that FFmpeg knows; {_RAW}"


@contextmanager
def open_stdin(raw: RawFrames | None, retry: Retry, *, descriptor: int = 0) -> Iterator[Source]:
    """Open standard input. A pipe is live; of a file (`< drive.mp4`) every frame is given.

    `raw` describes raw frames; None where there are none. `retry` hears which format was found,
    and what changes midway.

    Raises:
        SourceError: it is a terminal or closed, its format is not known, or it ended before its
            first frame.
    """
    say, is_file = retry.say, _check(descriptor)
    pipe = Pipe(descriptor, _NAME, say)
    kind = _find_kind(pipe, raw)
    told = (
        f"{_NAME}: {kind}, {'a file, every frame' if is_file else 'live, the newest frame counts'}"
    )
    if kind == _VIDEO and is_file:
        path = Path(f"/proc/self/fd/{descriptor}")
        with _open_file(path) as device:
            say(told)
            yield open_video(device, _NAME, path=path, say=say, tell=retry.report)
    elif kind == _VIDEO:
        source = _open_video_pipe(pipe)
        say(told)
        yield source
    else:
        say(told)
        images = _read_jpegs(pipe, say) if raw is None else _read_raw(pipe, raw, say)
        yield Source(
            name=f"{_NAME} ({kind})",
            frames=_read_frames(pipe, images, fps=_UNTIMED_FPS if is_file else None),
            fps=_UNTIMED_FPS,
            length=None,
            live=not is_file,
            stop=pipe.stop,
        )


def _check(descriptor: int) -> bool:
    """Tell whether the descriptor is a file, and not a pipe."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        raise SourceError(f"{_NAME} is closed; pipe frames into it: {_PIPE}") from None
    if os.isatty(descriptor):
        raise SourceError(f"{_NAME} is a terminal; pipe frames into it: {_PIPE}")
    return stat.S_ISREG(mode)


def _find_kind(pipe: Pipe, raw: RawFrames | None) -> str:
    """Tell the format by the first bytes, unless the user has said it."""
    begin = pipe.look_ahead(len(JPEG_START))
    if not begin:
        raise SourceError(f"{_NAME} ended before its first frame; does its writer run? {_PIPE}")
    if raw is not None:
        return f"raw {raw.format} of {raw.height}x{raw.width}"
    if begin == JPEG_START:
        return "JPEGs"
    return _VIDEO


@contextmanager
def _open_file(path: Path) -> Iterator[Any]:
    with ExitStack() as stack:
        try:
            device = stack.enter_context(open_capture(str(path), _NAME))
        except SourceError:
            raise SourceError(_UNKNOWN) from None
        yield device


def _open_video_pipe(pipe: Pipe) -> Source:
    if import_pyav() is None:
        raise SourceError(
            f"{_NAME} does not begin with a JPEG, and a video in a pipe needs PyAV: pip install "
            f"'edgeseg[video]' -c constraints.txt; {_RAW}"
        )
    capture = AvCapture(pipe, one_thread=True)
    if not capture.isOpened():
        raise SourceError(_UNKNOWN)

    def read_images() -> Iterator[Bgr]:
        try:
            while (image := capture.read()[1]) is not None:
                yield image
        finally:
            capture.release()

    return Source(
        name=f"{_NAME} ({_VIDEO})",
        frames=_read_frames(
            pipe, read_images(), fps=None, sent=partial(properties.read_sent_s, capture)
        ),
        fps=read_rate(capture),
        length=None,
        live=True,
        stop=pipe.stop,
    )


def _read_jpegs(pipe: Pipe, say: Say) -> Iterator[Bgr]:
    splitter = JpegSplitter()
    broken = 0
    while content := pipe.read(_CHUNK):
        for jpeg in splitter.feed(content):
            image = decode_picture(jpeg)
            if image is None:
                broken += 1
            else:
                yield image
    if pipe.stopped:
        return
    if splitter.held:
        _say_partial(splitter.held, say)
    if broken or splitter.passed_over:
        say(
            f"{_NAME}: {pluralize(broken, 'broken JPEG')} and {splitter.passed_over} bytes of no "
            f"whole JPEG were passed over"
        )


def _read_raw(pipe: Pipe, raw: RawFrames, say: Say) -> Iterator[Bgr]:
    while len(content := pipe.read_whole(raw.size_bytes)) == raw.size_bytes:
        yield raw.convert(content)
    if content and not pipe.stopped:
        _say_partial(len(content), say)


def _say_partial(count: int, say: Say) -> None:
    say(f"{_NAME} ended inside a frame: its last {count} bytes were passed over")


def _read_frames(
    pipe: Pipe,
    images: Iterator[Bgr],
    *,
    fps: float | None,
    sent: Callable[[], float | None] = lambda: None,
) -> Iterator[Captured]:
    """Number the images; time them by the clock, or evenly where they come from a file.

    `sent` tells when the last image was sent.
    """
    start = time.perf_counter()
    count = 0
    for index, image in enumerate(images):
        at, now = time.perf_counter(), time.time()
        yield Captured(
            index=index,
            name=f"{index:06d}",
            time_s=at - start if fps is None else index / fps,
            at=at,
            wall_s=now if fps is None else None,
            sent_s=sent(),
            image=image,
        )
        count += 1
    if not count and not pipe.stopped:
        raise SourceError(f"{_NAME} ended before its first frame")
