"""How a source is called before people."""

from __future__ import annotations

import re

from edgeseg.runtime.sources.stream import STREAM_SCHEMES

__all__ = ["cannot_open", "without_password"]


def without_password(url: str) -> str:
    """A URL as it may be shown and logged."""
    return re.sub(r"(?<=://)[^/@]*@", "***@", url)


def cannot_open(uri: str | int, name: str) -> str:
    """What to say of a source that does not open."""
    if isinstance(uri, int):
        return f"camera {uri} cannot be opened; is it connected, and not in use by another program?"
    if uri.startswith(STREAM_SCHEMES):
        return f"stream {name} cannot be opened; is the address right, and the sender running?"
    return f"{uri} cannot be opened as a video; is it whole, and its codec known to this OpenCV?"
