"""The preview as an output of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeseg.runtime.preview.address import Address
from edgeseg.runtime.preview.server import PreviewServer
from edgeseg.runtime.preview.view import View
from edgeseg.runtime.result import Result

if TYPE_CHECKING:
    from edgeseg.runtime.about import About

__all__ = ["PreviewSink", "open_previews"]


def open_previews(address: Address, sources: Sequence[About]) -> list[PreviewSink]:
    """Serve one preview for all sources; give each its sink.

    Raises:
        SinkError: the address cannot be served at.
        MissingPackageError: a package of the preview is not installed.
    """
    views = [View(about) for about in sources]
    server = PreviewServer(address, views)
    return [PreviewSink(server, view) for view in views]


class PreviewSink:
    """Puts each result on a board, which a server shows. Never waits for a viewer."""

    def __init__(self, server: PreviewServer, view: View) -> None:
        self._server = server
        self._view = view
        self.url = server.url

    def write(self, result: Result, /) -> None:
        """Show one result."""
        self._view.board.publish(result)
        self._server.announce(self._view)

    def finish(self) -> None:
        """Leave the server, which ends when every sink has left."""
        self._server.leave(self._view)

    def discard(self) -> None:
        """Leave the server, as `finish` does."""
        self._server.leave(self._view)
