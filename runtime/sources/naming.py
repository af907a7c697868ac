"""Names sources, and explains why a source gives no frames."""

from __future__ import annotations

from typing import Final

from edgeseg.machine.cameras import list_cameras
from edgeseg.pixels import Bgr
from edgeseg.redact import GSTREAMER, redact
from edgeseg.runtime.sources.stream import STREAM_SCHEMES

__all__ = ["name_source", "explain_cannot_open", "explain_no_frame", "explain_not_bgr"]

_LIBCAMERA: Final = (
    "--gstreamer 'libcamerasrc ! video/x-raw,width=1280,height=720 ! videoconvert ! "
    "video/x-raw,format=BGR ! appsink drop=1'"
)


def name_source(uri: str | int) -> str:
    """Name a source for messages."""
    return f"camera {uri}" if isinstance(uri, int) else redact(uri)


def explain_cannot_open(uri: str | int, *, hangs: bool = False) -> str:
    """Explain why a source does not open; `hangs` says that the call to open it never returned."""
    name = name_source(uri)
    if hangs:
        return f"{name} cannot be opened: it does not answer; is another program at work with it?"
    if isinstance(uri, int):
        return (
            f"{name} cannot be opened; is it connected, and not in use by another program? "
            f"{_describe_cameras()}"
        )
    if uri.startswith(GSTREAMER):
        return (
            f"the pipeline of {name} cannot be started; does it run with gst-launch-1.0, and does "
            f"it end in an appsink?"
        )
    if uri.startswith(STREAM_SCHEMES):
        return f"stream {name} cannot be opened; is the address right, and the sender running?"
    return f"{name} cannot be opened as a video; is it whole, and its codec known to this OpenCV?"


def explain_no_frame(uri: str | int) -> str:
    """Explain why a source opens but gives no frame."""
    name = name_source(uri)
    if isinstance(uri, int):
        return (
            f"{name} opens, but gives no frame; does another program hold it, or is it another "
            f"number ({_describe_cameras()})? A Raspberry Pi's CSI camera needs libcamera: "
            f"{_LIBCAMERA}"
        )
    if uri.startswith(GSTREAMER):
        return f"the pipeline of {name} starts, but gives no frame; try it with gst-launch-1.0"
    return f"stream {name} opens, but gives no frame; does anybody send pictures to it?"


def explain_not_bgr(image: Bgr, uri: str | int) -> str:
    """Explain that frames are not color pictures, as from a pipeline without caps."""
    form = "x".join(map(str, image.shape))
    return (
        f"{name_source(uri)} gives frames of {form} {image.dtype}, where height x width x 3 uint8 "
        f"(BGR) is read; end a pipeline with: ! videoconvert ! video/x-raw,format=BGR ! appsink "
        f"drop=1"
    )


def _describe_cameras() -> str:
    numbers = ", ".join(map(str, list_cameras()))
    return f"there are: {numbers}" if numbers else "there is none here"
