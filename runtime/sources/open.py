"""Opens a source by its name. The device is released in every case.

0                          a camera by its number
/dev/video0                a camera by its device, or by a link such as those in /dev/v4l/by-id
rtsp://... udp://...       a network stream, of the schemes in edgeseg.runtime.sources.address
http://.../drive.mp4       a video on a web server
gstreamer:...              a GStreamer pipeline that ends in an appsink
drive.mp4                  a video; file:///home/me/drive.mp4, too
street.jpg                 one image
frames/                    the images of a folder, by name
frames/%06d.png            an image sequence, by number
'frames/*.png'             the images that match
-                          what another program writes to standard input
drive.mcap:/camera/image   a topic of images in a ROS bag
demo                       a drawn street with ground truth, without end
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from edgeseg.data_rules import ValueRange
from edgeseg.demo import DEMO, FPS
from edgeseg.errors import SourceError
from edgeseg.labels import get_known_labels
from edgeseg.progress import Say
from edgeseg.redact import GSTREAMER, redact
from edgeseg.runtime.sources.address import (
    STDIN,
    is_camera,
    is_source_file,
    is_stream,
    is_web,
    is_web_video,
    read_name,
)
from edgeseg.runtime.sources.captures.patient import PatientCapture
from edgeseg.runtime.sources.files.bag import find_bag, open_bag
from edgeseg.runtime.sources.files.drawn import draw_scenes
from edgeseg.runtime.sources.files.images import IMAGES_FPS, list_images, read_images
from edgeseg.runtime.sources.files.sequences import describe_gaps, is_sequence
from edgeseg.runtime.sources.files.video import open_capture, open_video
from edgeseg.runtime.sources.live.camera import CameraOpener
from edgeseg.runtime.sources.live.device import open_live
from edgeseg.runtime.sources.live.raw import RawFrames
from edgeseg.runtime.sources.live.stdin import open_stdin
from edgeseg.runtime.sources.live.stream import open_gstreamer, open_stream
from edgeseg.runtime.sources.live.web import make_web_source, open_web_video
from edgeseg.runtime.sources.options import CameraOptions, Retry
from edgeseg.runtime.sources.source import Source

__all__ = ["open_source"]

_AS_IT_COMES: Final = CameraOptions()
_ONCE: Final = Retry()


@contextmanager
def open_source(
    uri: str | int,
    *,
    camera: CameraOptions = _AS_IT_COMES,
    retry: Retry = _ONCE,
    value_range: ValueRange | None = None,
    raw: RawFrames | None = None,
) -> Iterator[Source]:
    """Open a camera by number or device, a stream by URL or GStreamer string, or files by path.

    `camera` applies to cameras only. `retry` says how often a lost camera or stream is opened
    again; `retry.say` also receives doubts about a video or images, and `retry.tell` what changes
    midway. `value_range` says which values of images of more than 8 bits become 0 and 255. `raw`
    describes raw frames on standard input.

    Raises:
        SourceError: it is not there, or cannot be read; or there is a range of values, and it is
            not images. Later, while iterating: it broke off.
        MissingPackageError: what reads it is not installed: OpenCV, PyAV, or rosbags.
    """
    uri = read_name(uri)
    if is_source_file(uri):
        raise SourceError(
            f"{uri} names sources, and one source is taken here; name one, or run them all: "
            f"edgeseg run --source {uri}, or edgeseg.run(source={uri!r}) in Python"
        )
    if value_range is not None and not _is_images(uri):
        raise SourceError(
            f"{redact(str(uri))} is not images, and --range is for images of more than 8 bits; "
            f"leave --range out"
        )
    opening = _open_unending(uri, camera, retry, raw) or _open_files(uri, value_range, retry)
    with opening as source:
        yield source


def _open_unending(
    uri: str | int, camera: CameraOptions, retry: Retry, raw: RawFrames | None
) -> AbstractContextManager[Source] | None:
    """Open a source that has no file of this machine; None for one that has."""
    if uri == STDIN:
        return open_stdin(raw, retry)
    if isinstance(uri, int) or is_camera(uri):
        return open_live(uri, CameraOpener(uri, camera, retry.report), retry)
    if uri == DEMO:
        labels = get_known_labels("camvid")
        drawn = Source(name=uri, frames=draw_scenes(), fps=FPS, length=None, labels=labels)
        return nullcontext(drawn)
    if is_web(uri):
        return _open_web(uri, retry)
    if is_stream(uri):
        return open_live(uri, lambda: open_stream(uri), retry)
    if uri.startswith(GSTREAMER):
        return open_live(uri, lambda: open_gstreamer(uri.removeprefix(GSTREAMER)), retry)
    return None


def _open_web(uri: str, retry: Retry) -> AbstractContextManager[Source]:
    """Open a web address: a file by its ending or by what the server says of it, or a stream."""
    name = redact(uri)

    def read(device: Any) -> Source:  # noqa: ANN401  # cv2.VideoCapture
        return open_video(device, name, path=None, say=retry.say, tell=retry.report)

    def read_once(capture: PatientCapture) -> Source:
        retry.say(f"{name}: its server tells how long it is, so it is a file, and is read once")
        return make_web_source(uri, capture, read)

    if is_web_video(uri):
        return open_web_video(uri, read)
    return open_live(uri, lambda: open_stream(uri), retry, as_file=read_once)


@contextmanager
def _open_files(uri: str | int, value_range: ValueRange | None, retry: Retry) -> Iterator[Source]:
    uri = str(uri)
    bag = find_bag(uri)
    if bag is not None:
        with open_bag(bag, retry.say) as source:
            yield source
    elif images := list_images(uri):
        _tell_gaps(uri, images, retry.say)
        frames = read_images(images, value_range, say=retry.say)
        yield Source(name=uri, frames=frames, fps=IMAGES_FPS, length=len(images))
    else:
        with open_capture(uri, uri) as device:
            yield open_video(device, uri, path=Path(uri), say=retry.say, tell=retry.report)


def _tell_gaps(uri: str, images: list[Path], say: Say) -> None:
    gaps = describe_gaps(uri, images) if is_sequence(uri) else None
    if gaps is not None:
        say(gaps)


def _is_images(uri: str | int) -> bool:
    if isinstance(uri, int) or is_camera(uri) or is_stream(uri):
        return False
    if uri in {DEMO, STDIN} or uri.startswith(GSTREAMER):
        return False
    return find_bag(uri) is None and bool(list_images(uri))
