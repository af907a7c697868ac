"""Limits connections in uvicorn's HTTP protocol: each costs a descriptor before any token."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from edgeseg.runtime.preview.motion import MAX_VIEWERS

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["make_bounded_protocol"]

# A browser opens at most six connections to a host.
_MAX_CONNECTIONS: Final = 8 * MAX_VIEWERS
# A connection without a request for this long is closed.
_SILENCE_S: Final = 10.0


def make_bounded_protocol() -> type[H11Protocol]:
    """Make the protocol's class in a function, so that uvicorn is imported only where used."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Bounded(H11Protocol):
        """Closes connections beyond the limit, and connections without a request."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it so, too
            super().connection_made(transport)
            if len(self.connections) > _MAX_CONNECTIONS:
                transport.abort()
                return
            self.loop.call_later(_SILENCE_S, self._close_if_silent)

        def _close_if_silent(self) -> None:
            first_request: object = self.cycle  # None until there is one, though not typed so
            if first_request is None:
                self.transport.abort()

    return Bounded
