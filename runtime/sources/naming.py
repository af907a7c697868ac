"""Names sources, and explains why a source gives no frames."""

from __future__ import annotations

from typing import Final

from edgeseg.machine.cameras import list_cameras
from edgeseg.machine.ffmpeg import OPENERS, opens_scheme
from edgeseg.pixels import Bgr
from edgeseg.redact import GSTREAMER, redact
from edgeseg.runtime.sources.address import is_camera, is_stream

__all__ = ["name_source", "explain_cannot_open", "explain_no_frame", "explain_not_bgr"]

_LIBCAMERA: Final = (
    "--gstreamer 'libcamerasrc ! video/x-raw,width=1280,height=720 ! videoconvert ! "
    "video/x-raw,format=BGR ! appsink drop=1'"
)


def name_source(uri: str | int) -> str:
    """Name a source for messages."""
    return f"camera {uri}" if is_camera(uri) else redact(str(uri))


def explain_cannot_open(uri: str | int, *, hangs: bool = False) -> str:
    """Explain why a source does not open; `hangs` says that the call to open it never returned."""
    name = name_source(uri)
    if hangs:
        return f"{name} cannot be opened: it does not answer; is another program at work with it?"
    if is_camera(uri):
        return (
            f"{name} cannot be opened; is it connected, and not in use by another program? "
            f"{_describe_cameras()}"
        )
    if str(uri).startswith(GSTREAMER):
        return (
            f"the pipeline of {name} cannot be started; does it run with gst-launch-1.0, and does "
            f"it end in an appsink?"
        )
    if is_stream(uri):
        return _explain_unsupported(str(uri)) or (
            f"stream {name} cannot be opened; is the address right, and the sender running?"
        )
    return f"{name} cannot be opened as a video; is it whole, and its codec known here?"


def explain_no_frame(uri: str | int) -> str:
    """Explain why a source opens but gives no frame."""
    name = name_source(uri)
    if is_camera(uri):
        return (
            f"{name} opens, but gives no frame; does another program hold it, or is it another "
            f"number ({_describe_cameras()})? A Raspberry Pi's CSI camera needs libcamera: "
            f"{_LIBCAMERA}"
        )
    if str(uri).startswith(GSTREAMER):
        return f"the pipeline of {name} starts, but gives no frame; try it with gst-launch-1.0"
    return f"stream {name} opens, but gives no frame; does anybody send pictures to it?"


def explain_not_bgr(image: Bgr, uri: str | int) -> str:
    """Explain that the frames of a camera or stream are not color pictures."""
    form = "x".join(map(str, image.shape))
    return (
        f"{name_source(uri)} gives frames of {form} {image.dtype}, where height x width x 3 uint8 "
        f"(BGR) is read; read it through GStreamer: --gstreamer '... ! videoconvert ! "
        f"video/x-raw,format=BGR ! appsink drop=1'"
    )


def _describe_cameras() -> str:
    numbers = ", ".join(map(str, list_cameras()))
    return f"there are: {numbers} (edgeseg sources)" if numbers else "there is none here"


def _explain_unsupported(url: str) -> str | None:
    """Explain that no FFmpeg here knows the scheme of `url`; None where one does, or may."""
    scheme = url.partition("://")[0]
    known = [opens_scheme(module, scheme) for module in OPENERS]
    if False not in known or True in known:
        return None
    return (
        f"stream {redact(url)} cannot be opened: the FFmpeg of this OpenCV and PyAV is built "
        f"without {scheme}://; let a whole FFmpeg pass the stream on, with ffmpeg -i ADDRESS -c "
        f"copy -f mpegts udp://127.0.0.1:5000, and give --source udp://127.0.0.1:5000"
    )
