"""What to say of a source that does not open."""

from __future__ import annotations

from edgeseg.redact import GSTREAMER, redact
from edgeseg.runtime.sources.stream import STREAM_SCHEMES

__all__ = ["cannot_open"]


def cannot_open(uri: str | int) -> str:
    """A sentence with the likely reasons."""
    if isinstance(uri, int):
        return f"camera {uri} cannot be opened; is it connected, and not in use by another program?"
    name = redact(uri)
    if uri.startswith(GSTREAMER):
        return (
            f"the pipeline of {name} cannot be started; does it run with gst-launch-1.0, and does "
            f"it end in an appsink?"
        )
    if uri.startswith(STREAM_SCHEMES):
        return f"stream {name} cannot be opened; is the address right, and the sender running?"
    return f"{name} cannot be opened as a video; is it whole, and its codec known to this OpenCV?"
