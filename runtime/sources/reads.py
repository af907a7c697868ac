"""Which files of this machine a source reads."""

from __future__ import annotations

from pathlib import Path

from edgeseg.demo import DEMO
from edgeseg.redact import GSTREAMER
from edgeseg.runtime.sources.images import image_paths
from edgeseg.runtime.sources.stream import STREAM_SCHEMES

__all__ = ["files_of"]


def files_of(uri: str | int) -> list[Path]:
    """The files of a folder, a pattern or a path; none of a camera, a stream or `demo`.

    Raises:
        SourceError: there are none.
    """
    if isinstance(uri, int) or uri == DEMO or uri.startswith((*STREAM_SCHEMES, GSTREAMER)):
        return []
    return image_paths(uri) or [Path(uri)]
