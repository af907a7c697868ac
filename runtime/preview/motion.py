"""Sends Motion JPEG to a viewer: each picture replaces the one before."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from edgeseg.runtime.preview.newest import Encoder, Newest
from edgeseg.runtime.preview.picture import Look

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["KIND", "MAX_VIEWERS", "STUCK_S", "Motion", "Viewers"]

MAX_VIEWERS: Final = 8
# Pictures a second: enough to judge a mask by eye, and it leaves the cores to the engine.
_MAX_RATE: Final = 15.0
# Without a new frame the last one is sent again after this time, to notice a lost viewer.
_REPEAT_S: Final = 5.0
# A viewer who takes no data for this long is dropped; the system closes the connection (server.py).
STUCK_S: Final = 10.0
KIND: Final = "multipart/x-mixed-replace; boundary=frame"
_PART: Final = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"


class Viewers:
    """Counts the viewers; belongs to one event loop."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether another one must be refused."""
        return self.count >= MAX_VIEWERS


class Motion:
    """An endless ASGI response. A slow viewer gets fewer frames."""

    def __init__(self, newest: Newest, encoder: Encoder, viewers: Viewers, look: Look) -> None:
        self._newest = newest
        self._encoder = encoder
        self._viewers = viewers
        self._look = look

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send pictures until the viewer leaves or is stuck, or the run ends."""
        self._viewers.count += 1
        leaving = asyncio.ensure_future(_wait_until_gone(receive))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"content-type", KIND.encode())],
                }
            )
            await self._send_frames(leaving, send)
            await send({"type": "http.response.body", "body": b""})
        except (OSError, asyncio.TimeoutError):
            pass  # the viewer is gone, or stuck
        finally:
            leaving.cancel()
            self._viewers.count -= 1

    async def _send_frames(self, leaving: asyncio.Future[None], send: Send) -> None:
        sent = None
        while True:
            begun = time.monotonic()
            sent = await self._newest.wait_after(sent, unless=leaving, seconds=_REPEAT_S)
            if leaving.done() or self._newest.ended:
                return
            if sent is not None:
                jpeg = await self._encoder.encode(sent, self._look)
                body = _PART % (len(jpeg), jpeg)
                message = {"type": "http.response.body", "body": body, "more_body": True}
                await asyncio.wait_for(send(message), STUCK_S)
            await asyncio.sleep(max(0.0, 1 / _MAX_RATE - (time.monotonic() - begun)))


async def _wait_until_gone(receive: Receive) -> None:
    """Wait until the viewer disconnects; the request's own (empty) body comes first."""
    while (await receive())["type"] != "http.disconnect":
        pass
