"""The preview as an output of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.runtime.preview.address import Address
from edgeseg.runtime.preview.board import Board
from edgeseg.runtime.preview.server import PreviewServer
from edgeseg.runtime.result import Result

if TYPE_CHECKING:
    from edgeseg.runtime.about import About

__all__ = ["PreviewSink"]


class PreviewSink:
    """Puts each result on a board, which its own server shows. Never waits for a viewer."""

    def __init__(self, address: Address, about: About) -> None:
        self._board = Board()
        self._server = PreviewServer(address, self._board, about)
        self.url = self._server.url

    def write(self, result: Result, /) -> None:
        """Show one result."""
        self._board.publish(result)
        self._server.announce()

    def finish(self) -> None:
        """Stop serving."""
        self._server.stop()

    def discard(self) -> None:
        """Stop serving."""
        self._server.stop()
