"""Lists the files of this machine that a source reads."""

from __future__ import annotations

from pathlib import Path

from edgeseg.demo import DEMO
from edgeseg.redact import GSTREAMER
from edgeseg.runtime.sources.images import list_images
from edgeseg.runtime.sources.stream import STREAM_SCHEMES

__all__ = ["list_files_read"]


def list_files_read(uri: str | int) -> list[Path]:
    """List the files of a folder, pattern or path; none for a camera, a stream or `demo`.

    Raises:
        SourceError: the folder, pattern or path has no files.
    """
    if isinstance(uri, int) or uri == DEMO or uri.startswith((*STREAM_SCHEMES, GSTREAMER)):
        return []
    return list_images(uri) or [Path(uri)]
