"""Lists the files of this machine that a source reads."""

from __future__ import annotations

from pathlib import Path

from edgeseg.demo import DEMO
from edgeseg.redact import GSTREAMER
from edgeseg.runtime.sources.address import STDIN, is_camera, is_stream, read_name
from edgeseg.runtime.sources.files.bag import find_bag
from edgeseg.runtime.sources.files.images import list_images

__all__ = ["list_files_read"]


def list_files_read(uri: str | int) -> list[Path]:
    """List the files of a folder, pattern or path; none for a camera, a stream or `demo`.

    Raises:
        SourceError: the folder, pattern or path has no files, or the scheme is not known.
    """
    uri = read_name(uri)
    if isinstance(uri, int) or is_camera(uri) or is_stream(uri):
        return []
    if uri in {DEMO, STDIN} or uri.startswith(GSTREAMER):
        return []
    bag = find_bag(uri)
    if bag is not None:
        return bag.list_files()
    return list_images(uri) or [Path(uri)]
