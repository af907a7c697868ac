"""Runs the preview's HTTP server in a thread of its own beside the run."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from edgeseg.errors import BackendError, SinkError
from edgeseg.machine.extras import require
from edgeseg.runtime.preview.address import Address
from edgeseg.runtime.preview.guard import Guard
from edgeseg.runtime.preview.motion import STUCK_S
from edgeseg.runtime.preview.pages import make_app
from edgeseg.runtime.preview.view import View
from edgeseg.runtime.threads import start_thread
from edgeseg.text import explain

__all__ = ["PreviewServer"]

# Bytes that the system buffers for a slow viewer: a few frames rather than seconds of them.
_SEND_BUFFER: Final = 1 << 17
_GRACE_S: Final = 1


class PreviewServer:
    """Serves what there is to see of sources, until every view has left."""

    def __init__(self, address: Address, views: Sequence[View]) -> None:
        require("--preview", ["preview"])
        self._socket = _bind(address)
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        self._loop = asyncio.new_event_loop()
        self._views = views
        self._left = list(views)
        self._ended = asyncio.Event()
        self._error: BaseException | None = None
        app = Guard(make_app(views), token=address.token)
        self._thread = threading.Thread(
            target=self._serve, args=(app,), name="edgeseg preview", daemon=True
        )
        try:
            start_thread(self._thread)
        except BackendError:
            self._close()
            raise

    def announce(self, view: View) -> None:
        """Announce a new result on a view's board; never waits.

        Raises:
            SinkError: the server broke down.
        """
        try:
            self._loop.call_soon_threadsafe(view.newest.wake)
        except RuntimeError:  # the server's loop is closed
            raise SinkError(f"the preview broke down: {self._error or 'it was stopped'}") from None

    def leave(self, view: View) -> None:
        """Show no more of a view; after the last one drop every viewer, and end the thread."""
        if view in self._left:
            self._left.remove(view)
            with suppress(RuntimeError):  # the server broke down, and closed its loop
                self._loop.call_soon_threadsafe(view.newest.end)
        if self._left:
            return
        with suppress(RuntimeError):  # as above
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._close()

    def _close(self) -> None:
        self._loop.close()
        for view in self._views:
            view.encoder.close()
        self._socket.close()

    def _serve(self, app: Guard) -> None:
        try:
            self._loop.run_until_complete(self._serve_until_ended(app))
        except (Exception, SystemExit) as error:  # the next `announce` raises it
            self._error = error
        finally:
            self._loop.close()

    async def _serve_until_ended(self, app: Guard) -> None:
        import uvicorn

        from edgeseg.runtime.preview.protocol import make_bounded_protocol

        config = uvicorn.Config(
            app,
            http=make_bounded_protocol(),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        # uvicorn logs nothing that a run's user could act on.
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve(sockets=[self._socket]))
        ended = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait((serving, ended), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        try:
            await serving
        finally:
            for connection in server.server_state.connections:
                connection.transport.abort()  # a viewer who takes no data would hold it for ever
            await _cancel_all()


async def _cancel_all() -> None:
    """Cancel all tasks: stuck viewers hold tasks that nobody waits for."""
    await asyncio.sleep(0)  # connections that were just aborted end their own tasks
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _bind(address: Address) -> socket.socket:
    try:
        (family, kind, protocol, _, where), *_ = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise SinkError(
            f"no preview at {address.host}: {explain(error)}; give an address of this machine with "
            f"--preview HOST:PORT"
        ) from None
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: closes connections that take no data
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1e3 * STUCK_S))
    try:
        listening.bind(where)
        listening.listen()  # from now on a browser waits rather than being refused
    except OSError as error:
        listening.close()
        raise SinkError(
            f"no preview at {address.host}:{address.port}: {error.strerror}; "
            f"choose another with --preview HOST:PORT"
        ) from None
    return listening
