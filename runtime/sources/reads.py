"""Which files of this machine a source reads."""

from __future__ import annotations

from pathlib import Path

from edgeseg.demo import DEMO
from edgeseg.redact import GSTREAMER
from edgeseg.runtime.sources.images import list_images
from edgeseg.runtime.sources.stream import STREAM_SCHEMES

__all__ = ["list_files_read"]


def list_files_read(uri: str | int) -> list[Path]:
    """The files of a folder, a pattern or a path; none of a camera, a stream or `demo`.

    Raises:
        SourceError: there are none.
    """
    if isinstance(uri, int) or uri == DEMO or uri.startswith((*STREAM_SCHEMES, GSTREAMER)):
        return []
    return list_images(uri) or [Path(uri)]
